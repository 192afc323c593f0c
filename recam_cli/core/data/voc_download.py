"""Download of the VOC 2012 devkit: resumable, checked, safely unpacked.

The address, file name and MD5 sum come from torchvision's table of VOC archives; the SHA-256 sum below is
that of the same official file (1,999,639,040 bytes), and is checked as well because MD5 no longer proves
anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.data.archive import extract_folder
from recam_cli.core.data.layout import IMAGES_FOLDER
from recam_cli.core.download import DownloadError, digests_of, fetch, size_so_far
from recam_cli.core.errors import DataError
from recam_cli.core.reporter import Reporter, SilentReporter

DEVKIT = "VOCdevkit/VOC2012"
SHA256 = "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb"
MAX_ARCHIVE_BYTES = 4 << 30


@dataclass(frozen=True)
class Archive:
    """An archive on the network: its address, file name and checksums by hashlib name."""

    url: str
    filename: str
    sums: tuple[tuple[str, str], ...]


def official_archive() -> Archive:
    """Return the official VOC 2012 archive, as torchvision names it."""
    from importlib import import_module

    from recam_cli.core.models.torchvision_gate import torchvision

    torchvision()
    entry = import_module("torchvision.datasets.voc").DATASET_YEAR_DICT["2012"]
    return Archive(entry["url"], entry["filename"], (("md5", entry["md5"]), ("sha256", SHA256)))


def download_voc(
    root: Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    reporter: Reporter | None = None,
) -> Path:
    """Fetch the devkit (2 GB) into a data folder, unless it is there.

    The archive grows as `<root>/<archive>.partial`; a later call continues it. Checked, it becomes
    `<archive>`, is unpacked as `<root>/VOCdevkit/VOC2012` and deleted.

    Args:
        root: the data folder, e.g. "data".
        url: a mirror of the archive, by https.
        sha256: of another archive that `url` names; without it the official checksums hold.
        reporter: where progress goes.

    Returns:
        The folder VOC2012.

    Raises:
        DataError: no network, a server's refusal, a wrong checksum, an unsafe archive, a full disk, or
            another thing in the folder's place.
    """
    reporter = reporter or SilentReporter()
    target = root / DEVKIT
    if (target / IMAGES_FOLDER).is_dir():
        reporter.info(f"{target} is there already")
        return target
    if target.exists():
        raise DataError(f"{target}: exists, but is no VOC devkit", remedy="Move it away and download again")
    known = official_archive()
    archive = Archive(url or known.url, known.filename, (("sha256", sha256),) if sha256 else known.sums)
    path = root / archive.filename
    ours = not path.is_file()
    if ours:
        _fetch(archive, path, reporter)
    else:
        _verify(path, archive, "Delete it, and it will be downloaded anew")
    extract_folder(path, DEVKIT, target, reporter)
    if ours:  # an archive that the user put there stays
        path.unlink()
    reporter.info(f"VOC 2012 is in {target}")
    return target


def _fetch(archive: Archive, path: Path, reporter: Reporter) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        fetch(archive.url, partial, MAX_ARCHIVE_BYTES, reporter)
    except DownloadError as error:
        raise _no_download(archive.url, str(error), partial) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot write {partial}: {reason}", remedy="Free disk space and run again") from error
    try:
        _verify(partial, archive, "It was deleted: download again, or from another place")
    except DataError:
        partial.unlink()  # resuming could not mend it
        raise
    partial.replace(path)


def _verify(path: Path, archive: Archive, remedy: str) -> None:
    """Pass if all checksums are right, else raise DataError."""
    digests = digests_of(path, (name for name, _ in archive.sums))
    for name, wanted in archive.sums:
        if digests[name] != wanted.lower():
            raise DataError(f"{path}: wrong {name} sum {digests[name]}, expected {wanted}", remedy=remedy)


def _no_download(url: str, reason: str, partial: Path) -> DataError:
    """Return the error that also says how to do without the network."""
    kept = " (what arrived is kept: run again to continue)" if size_so_far(partial) else ""
    where = partial.parent
    return DataError(
        f"cannot download {url}: {reason}{kept}",
        remedy=f"Check the network, or put the archive at {where / partial.name.removesuffix('.partial')}, "
        f"or the unpacked devkit at {where / DEVKIT}",
    )
