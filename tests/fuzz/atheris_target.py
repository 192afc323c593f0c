"""Coverage-guided fuzzing of one reader with atheris: `python -m tests.fuzz.atheris_target READER -runs=N`.

atheris ends the process when it is done, with another code than 0 where a reader gave an untyped exception.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["recam_cli"]):
    from recam_cli.core.errors import RecamError
    from tests.fuzz.readers import READERS


def main() -> None:
    """Fuzz the reader named first; all else goes to libFuzzer."""
    reader = READERS[sys.argv.pop(1)]
    folder = Path(tempfile.mkdtemp(prefix="recam-atheris-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "valid").write_bytes(reader.make())
    path = folder / "in" / reader.file
    path.parent.mkdir()

    def try_one(data: bytes) -> None:
        path.write_bytes(data)
        try:
            reader.read(path)
        except RecamError as error:
            assert "\n" not in str(error)

    atheris.Setup([*sys.argv, str(corpus)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
