"""Mutation fuzzing of the readers: `python -m tests.fuzz.driver --count 1000 --seed 0 [--reader NAME]…`.

Every input follows from (seed, reader, number) alone. An input must be read, or refused by one of our typed errors,
within a time and a memory that are bounded. The process caps its own address space, so that a reader which takes a
file's word for a length ends in a MemoryError and not in swap.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from recam_cli.core.errors import RecamError
from tests.fuzz.mutations import flip_bits
from tests.fuzz.readers import READERS, Reader, names

HANGS_AFTER = 30
"""Seconds after which a reader counts as hanging."""
GROWTH = 400 << 20
"""Bytes by which the process may grow over all inputs of a reader."""
ADDRESSES = 3 << 30
"""Bytes of address space above what imports and valid files take."""


class HangError(BaseException):
    """The reader did not come back; no `except Exception` stops it."""


@dataclass
class Tally:
    """What became of the mutated inputs of one reader.

    Attributes:
        reader: its name.
        tried: inputs.
        read: those that were still valid.
        refused: those that gave a typed error.
        untyped: what is wrong, by number of the input, the last lines of a traceback.
        slowest: seconds of the slowest input.
        grown: bytes the process has grown by.
        long: the longest message, in characters.
    """

    reader: str
    tried: int = 0
    read: int = 0
    refused: int = 0
    untyped: dict[int, str] = field(default_factory=dict)
    slowest: float = 0.0
    grown: int = 0
    long: int = 0

    def __str__(self) -> str:
        return (
            f"{self.reader}: {self.tried} mutated inputs tried, {len(self.untyped)} untyped exceptions "
            f"({self.read} read, {self.refused} refused, slowest {self.slowest:.2f} s, +{self.grown >> 20} MB)"
        )


def mutated(reader: Reader, valid: bytes, name: str, seed: int, number: int) -> bytes:
    """Return input `number` of a reader."""
    rng = Random(f"{seed}:{name}:{number}")
    data = valid
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if data:
            try:
                data = rng.choice(reader.mutations)(data, rng)
            except Exception:  # an earlier mutation left nothing of the structure that this one changes
                data = flip_bits(data, rng)
    return data


def fuzz(name: str, count: int, seed: int) -> Tally:
    """Try `count` inputs of a reader."""
    reader, tally = READERS[name], Tally(name)
    with tempfile.TemporaryDirectory(prefix="recam-fuzz-") as folder:
        valid, path = reader.make(), Path(folder, "in", reader.file)
        _write(path, valid)
        _say(tally, -1, lambda: reader.read(path))
        if tally.refused and not reader.refuses:
            tally.untyped[-1] = "the valid file is refused"
        tally = Tally(name, untyped=tally.untyped)
        before = _peak()
        for number in range(count):
            _write(path, mutated(reader, valid, name, seed, number))
            begun = time.process_time()
            _say(tally, number, lambda: reader.read(path))
            seconds = time.process_time() - begun
            tally.tried += 1
            tally.slowest = max(tally.slowest, seconds)
            if seconds > reader.seconds:
                tally.untyped.setdefault(number, f"took {seconds:.1f} s")
        tally.grown = _peak() - before
        if tally.grown > GROWTH:
            tally.untyped[-2] = f"grew by {tally.grown >> 20} MB"
    return tally


def _write(path: Path, data: bytes) -> None:
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def _say(tally: Tally, number: int, read) -> None:
    signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER)
    try:
        read()
        tally.read += 1
    except RecamError as error:
        tally.refused += 1
        tally.long = max(tally.long, len(str(error)))
        if "\n" in str(error) or len(str(error)) > 2000:
            tally.untyped[number] = f"a message of {len(str(error))} characters"
    except (Exception, HangError) as error:
        place = traceback.extract_tb(error.__traceback__)[-6:]
        where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(place))
        tally.untyped[number] = f"{type(error).__name__}: {str(error)[:120]} at {where}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _hang(*_: object) -> None:
    raise HangError("no answer")


def counts(total: int, chosen: list[str]) -> dict[str, int]:
    """Return how many of `total` inputs each reader gets; at least four."""
    shares = sum(READERS[name].share for name in chosen)
    return {name: max(4, round(total * READERS[name].share / shares)) for name in chosen}


def main() -> None:
    """Fuzz and print one JSON line per reader."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", default=[])
    asked = parser.parse_args()
    signal.signal(signal.SIGALRM, _hang)
    import torch

    torch.set_num_threads(1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, resource.RLIM_INFINITY))
    for name, count in counts(asked.count, names(asked.reader)).items():
        with redirect_stdout(sys.stderr):
            tally = fuzz(name, count, asked.seed)
        print(json.dumps(asdict(tally)), flush=True)


if __name__ == "__main__":
    main()
