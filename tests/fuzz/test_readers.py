"""Mutated files give our typed errors or a valid result, in bounded time and memory, whichever reader gets them.

The default tests try a few hundred inputs. Behind the marker `fuzz` there are more, with the seed that
RECAM_FUZZ_SEED names and as many as RECAM_FUZZ_INPUTS says (24,000): `pytest -m fuzz -s tests/fuzz`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.driver import Tally, mutated
from tests.fuzz.readers import READERS

ROOT = Path(__file__).parents[2]
FEW, MANY = 400, 24_000


def run_driver(*arguments: object, timeout: float) -> list[Tally]:
    """Fuzz in a process of its own, whose address space is capped."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz.driver", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return [Tally(**json.loads(line)) for line in done.stdout.splitlines()]


def assert_typed(tallies: list[Tally]) -> None:
    wrong = {tally.reader: tally.untyped for tally in tallies if tally.untyped}
    assert not wrong, json.dumps(wrong, indent=2)


def test_a_few_hundred_mutated_files_give_typed_errors_only():
    tallies = run_driver("--count", FEW, timeout=120)
    assert [tally.reader for tally in tallies] == list(READERS)
    assert sum(tally.tried for tally in tallies) >= FEW * 0.95
    assert sum(tally.refused for tally in tallies) > FEW / 4
    assert sum(tally.read for tally in tallies) > FEW / 20
    assert_typed(tallies)


@pytest.mark.fuzz
def test_many_mutated_files_give_typed_errors_only():
    total, seed = int(os.environ.get("RECAM_FUZZ_INPUTS", MANY)), os.environ.get("RECAM_FUZZ_SEED", "1")
    tallies = run_driver("--count", total, "--seed", seed, timeout=600 + total / 20)
    print("", *tallies, sep="\n")
    tried, untyped = sum(t.tried for t in tallies), sum(len(t.untyped) for t in tallies)
    print(f"all {len(tallies)} readers: {tried} mutated inputs tried, {untyped} untyped exceptions")
    assert tried >= total * 0.99
    assert_typed(tallies)


def test_inputs_follow_from_the_seed_and_differ():
    reader = READERS["labels CSV"]
    inputs = [mutated(reader, reader.make(), "labels CSV", 0, number) for number in range(40)]
    assert inputs == [mutated(reader, reader.make(), "labels CSV", 0, number) for number in range(40)]
    assert len(set(inputs)) > 30
    assert inputs != [mutated(reader, reader.make(), "labels CSV", 1, number) for number in range(40)]


def test_the_driver_notices_an_untyped_error_a_slow_reader_and_one_that_grows(monkeypatch):
    from dataclasses import replace

    from tests.fuzz import driver

    kept: list[bytearray] = []

    def bad(path: Path) -> None:
        data = path.read_bytes()
        if data != b"valid":
            kept.append(bytearray(20 << 20))
            raise KeyError("untyped")

    # This process may have been larger before, and then does not grow.
    monkeypatch.setattr(driver, "_peak", lambda: sum(map(len, kept)))
    monkeypatch.setattr(driver, "GROWTH", 50 << 20)
    row = replace(READERS["labels CSV"], make=lambda: b"valid", read=bad, seconds=-1.0)
    monkeypatch.setitem(driver.READERS, "bad", row)
    said = " ".join(driver.fuzz("bad", 12, 0).untyped.values())
    assert "KeyError" in said and "grew" in said
    monkeypatch.setitem(driver.READERS, "bad", replace(row, read=lambda path: None))
    assert "took" in " ".join(driver.fuzz("bad", 3, 0).untyped.values())
