"""The hashes of a folder's files, in a list beside them that `sha256sum --check` reads: `<folder>/.png.sha256`.

The manifest holds the list's own hash, and so vouches for every file without naming ten thousand of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from recam_cli.core.errors import RunError
from recam_cli.core.runs.files import sha256_of, sha256_of_all, write_text

LIST_SUFFIX = ".sha256"


def write_sums(folder: Path, files: list[Path], suffix: str) -> str:
    """Write the list of `files`, which lie in `folder`, unless it is there; return the list's SHA-256.

    Args:
        folder: where the list goes.
        files: in the order of the list.
        suffix: of the files, which names the list: ".png".

    Raises:
        RunError: a file differs from an earlier list although nobody has written it since, as on a failing disk.
    """
    path = folder / f"{suffix}{LIST_SUFFIX}"
    listed = _read(path) if path.is_file() else {}
    since = path.stat().st_mtime_ns if listed else 0
    digests = sha256_of_all(files)
    for file, digest in zip(files, digests, strict=True):
        if listed.get(file.name, digest) != digest and file.stat().st_mtime_ns <= since:
            raise RunError(
                f"{file} is damaged: it has changed since it was made, but was not written",
                remedy="Delete it and run the command again: it is made anew",
            )
    text = _text(files, digests)
    if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
        write_text(path, text)
    return _hash_of(text)


def sums_hash(files: list[Path]) -> str:
    """Return the SHA-256 that the list of `files` has, as `write_sums` does, without writing it."""
    return _hash_of(_text(files, sha256_of_all(files)))


def changed_items(folder: Path) -> set[str]:
    """Return the names, without suffix, of files in `folder` that are not what one of the folder's lists says."""
    changed: set[str] = set()
    for path, suffix in _lists(folder):
        listed = {folder / name: digest for name, digest in _read(path).items() if Path(name).name == name}
        there = [file for file in listed if file.is_file()]
        digests = zip(there, sha256_of_all(there), strict=True)
        changed |= {file.name.removesuffix(suffix) for file, digest in digests if listed[file] != digest}
    return changed


def files_of_items(folder: Path, items: Iterable[str]) -> Iterator[Path]:
    """Yield the files in `folder` of these names, with the suffix of one of the folder's lists."""
    suffixes = [suffix for _, suffix in _lists(folder)]
    yield from (path for item in items for s in suffixes if (path := folder / f"{item}{s}").is_file())


def find_sums(folder: Path, sha256: str) -> dict[str, str] | None:
    """Return the hashes by file name of the folder's list with the given hash, or None where there is no such list."""
    return next((_read(path) for path, _ in _lists(folder) if sha256_of(path) == sha256), None)


def _lists(folder: Path) -> list[tuple[Path, str]]:
    """Return the folder's lists, each with the suffix of the files in it."""
    return [(path, path.name.removesuffix(LIST_SUFFIX)) for path in folder.glob(f".*{LIST_SUFFIX}") if path.is_file()]


def _text(files: list[Path], digests: list[str]) -> str:
    return "".join(f"{digest}  {file.name}\n" for file, digest in zip(files, digests, strict=True))


def _hash_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _read(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
