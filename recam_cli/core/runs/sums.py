"""The hashes of a folder's files, in a list beside them that `sha256sum --check` reads: `<folder>/.png.sha256`.

The manifest holds the list's own hash, and so vouches for every file without naming ten thousand of them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from recam_cli.core.runs.files import sha256_of, write_text

LIST_SUFFIX = ".sha256"


def write_sums(folder: Path, files: list[Path], suffix: str) -> str:
    """Write the list of `files`, which lie in `folder`, unless it is there; return the list's SHA-256.

    Args:
        folder: where the list goes.
        files: in the order of the list.
        suffix: of the files, which names the list: ".png".
    """
    path = folder / f"{suffix}{LIST_SUFFIX}"
    text = "".join(f"{sha256_of(file)}  {file.name}\n" for file in files)
    if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
        write_text(path, text)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def find_sums(folder: Path, sha256: str) -> dict[str, str] | None:
    """Return the hashes by file name of the folder's list with the given hash, or None where there is no such list."""
    for path in folder.glob(f".*{LIST_SUFFIX}"):
        if path.is_file() and sha256_of(path) == sha256:
            lines = path.read_text(encoding="utf-8").splitlines()
            return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    return None
