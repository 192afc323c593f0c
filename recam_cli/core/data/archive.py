"""Unpacking of a downloaded tar archive that is trusted in nothing."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path, PurePosixPath

from recam_cli.core.bounded import reason_of
from recam_cli.core.errors import DataError
from recam_cli.core.reporter import Progress, Reporter
from recam_cli.core.runs.leftovers import sweep, temporary_beside

MAX_MEMBERS = 200_000
MAX_MEMBER_BYTES = 64 << 20
MAX_TOTAL_BYTES = 8 << 30


_MAX_READ = 1 << 20


class _Capped(io.FileIO):
    """A file that gives at most a megabyte at a time: tarfile asks for as much as a header says a long name has."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to a megabyte."""
        return super().read(_MAX_READ if size is None or not 0 <= size <= _MAX_READ else size) or b""


def extract_folder(archive: Path, inner: str, target: Path, reporter: Reporter) -> None:
    """Unpack the folder `inner` of an uncompressed tar as `target`, which appears whole or not at all.

    Only plain files and folders below `inner` are unpacked; anything else in the archive is refused, as are
    links, devices, paths that lead out, and sizes beyond `MAX_MEMBERS`, `MAX_MEMBER_BYTES` and
    `MAX_TOTAL_BYTES`.

    Args:
        archive: the tar file.
        inner: path inside the archive, e.g. "VOCdevkit/VOC2012".
        target: the folder to make; must not exist.
        reporter: where progress goes.

    Raises:
        DataError: the archive is damaged or holds something refused, or the disk is full.
    """
    if not hasattr(tarfile, "data_filter"):  # pragma: no cover - 3.11.0 to 3.11.3
        raise DataError("this Python cannot unpack archives safely", remedy="Use Python 3.11.4 or newer")
    temporary = temporary_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent, below=False)
        total = archive.stat().st_size
        with (
            _Capped(archive, "rb") as file,
            tarfile.open(fileobj=file, mode="r:") as tar,
            reporter.track("unpack", total, "byte") as progress,
        ):
            _extract_members(tar, archive, PurePosixPath(inner), temporary, progress)
        if not (temporary / inner).is_dir():
            raise DataError(f"{archive}: no folder {inner} in the archive", remedy="Delete it and download again")
        (temporary / inner).replace(target)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{archive}: damaged archive: {reason_of(error)}", remedy="Delete it and download again"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot unpack {archive} into {target}: {reason}", remedy="Free disk space") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extract_members(
    tar: tarfile.TarFile, archive: Path, inner: PurePosixPath, folder: Path, progress: Progress
) -> None:
    folder.mkdir()
    count = total = before = 0
    for member in tar:
        count, total = count + 1, total + member.size
        fault = _fault(member, inner)
        if member.size < 0 or count > MAX_MEMBERS or member.size > MAX_MEMBER_BYTES or total > MAX_TOTAL_BYTES:
            fault = "too many or too large files"
        if fault:
            raise DataError(
                f"{archive}: {fault} in the archive: {member.name[:100]!r}",
                remedy="Download it from another place",
            )
        if member.isreg():
            member.mode = 0o644  # whatever the archive says, the files are the user's to read and delete
            tar.extract(member, folder, set_attrs=False, filter="data")
        progress.advance(member.offset_data + member.size - before)
        before = member.offset_data + member.size


def _fault(member: tarfile.TarInfo, inner: PurePosixPath) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        return "a path that leads out"
    if not (member.isreg() or member.isdir()) or member.issparse():
        return "a link, device or other special file"
    if member.isreg() and inner not in path.parents:
        return "an unexpected file"
    return None
