"""Download of the VOC 2012 devkit: resumable, checked, safely unpacked.

The address, file name and MD5 sum come from torchvision's table of VOC archives; the SHA-256 sum below is
that of the same official file (1,999,639,040 bytes), and is checked as well because MD5 no longer proves
anything.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recam_cli.core.data.archive import extract_folder
from recam_cli.core.data.layout import IMAGES_FOLDER
from recam_cli.core.errors import DataError
from recam_cli.core.reporter import Reporter, SilentReporter

DEVKIT = "VOCdevkit/VOC2012"
SHA256 = "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb"
MAX_ARCHIVE_BYTES = 4 << 30
ATTEMPTS = 5
"""Connections in a row that may bring nothing; each resumes where the last one broke off."""
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""
_PAUSE = 1.0
"""Seconds waited after the first broken connection; doubled with each further one."""
_BLOCK = 1 << 20


class _BrokenOffError(Exception):
    """The connection ended, or the server answered what does not fit."""


class _NoConnectionError(_BrokenOffError):
    """The server could not be reached."""


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
        url: a mirror of the archive, http or https.
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
    if not archive.url.lower().startswith(("http://", "https://")):
        raise DataError(f"{archive.url}: not an http or https address", remedy="Correct the address")
    partial = path.with_name(path.name + ".partial")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        _fetch_all(archive.url, partial, reporter)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot write {partial}: {reason}", remedy="Free disk space and run again") from error
    try:
        _verify(partial, archive, "It was deleted: download again, or from another place")
    except DataError:
        partial.unlink()  # resuming could not mend it
        raise
    partial.replace(path)


def _fetch_all(url: str, partial: Path, reporter: Reporter) -> None:
    """Bring `partial` to its full length, over as many connections as it takes."""
    failures = 0
    while failures < ATTEMPTS:
        before = _size(partial)
        try:
            if _fetch_rest(url, partial, reporter):
                return
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code < 500:
                break
        except _NoConnectionError as error:
            reason = str(error)
            if failures == 0:  # no network, most likely: say so at once
                break
        except (http.client.HTTPException, _BrokenOffError) as error:
            reason = str(error) or type(error).__name__
        failures = 1 if _size(partial) > before else failures + 1
        reporter.detail(f"{url}: {reason}; trying again")
        time.sleep(_PAUSE * 2.0 ** (failures - 1))
    raise _no_download(url, reason, partial)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _fetch_rest(url: str, partial: Path, reporter: Reporter) -> bool:
    """Append what is missing; return whether the file is complete."""
    have = _size(partial)
    headers = {"User-Agent": "recam", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        request = urllib.request.Request(url, headers=headers)
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is missing, or it is another file: the checksum tells
            return True
        raise
    except (OSError, ValueError) as error:
        raise _NoConnectionError(_network_reason(error)) from error
    with response:
        start, total = _extent(response, have)
        if total is not None and total > MAX_ARCHIVE_BYTES:
            raise _no_download(url, f"{total:,} bytes are more than the devkit has", partial)
        with (
            partial.open("r+b" if start else "wb") as file,
            reporter.track("download", total or 0, "byte") as bar,
        ):
            file.seek(start)
            file.truncate()
            bar.advance(start)
            end = start
            while block := _read(response):
                file.write(block)
                end += len(block)
                bar.advance(len(block))
                if end > MAX_ARCHIVE_BYTES:
                    raise _no_download(url, "more bytes than the devkit has", partial)
    return total is None or end >= total


def _extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Return where in the file the answer begins, and the file's full length if the server tells."""
    if response.status == 206:
        match = re.fullmatch(
            r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", response.headers.get("Content-Range", "")
        )
        if match is None or int(match[1]) != have:
            raise _BrokenOffError("the server sends another part than was asked for")
        return have, None if match[2] == "*" else int(match[2])
    length = re.fullmatch("[0-9]{1,18}", response.headers.get("Content-Length", ""))
    return 0, int(length[0]) if length else None


def _read(response: BinaryIO | http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK)
    except http.client.IncompleteRead as error:
        return error.partial
    except OSError as error:
        raise _BrokenOffError(_network_reason(error)) from error


def _verify(path: Path, archive: Archive, remedy: str) -> None:
    """Pass if all checksums are right, else raise DataError."""
    digests = {name: hashlib.new(name, usedforsecurity=False) for name, _ in archive.sums}
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for digest in digests.values():
                digest.update(block)
    for name, wanted in archive.sums:
        found = digests[name].hexdigest()
        if found != wanted.lower():
            raise DataError(
                f"{path}: wrong {name} sum {found}, expected {wanted}",
                remedy=remedy,
            )


def _no_download(url: str, reason: str, partial: Path) -> DataError:
    """Return the error that also says how to do without the network."""
    kept = " (what arrived is kept: run again to continue)" if _size(partial) else ""
    where = partial.parent
    return DataError(
        f"cannot download {url}: {reason}{kept}",
        remedy=f"Check the network, or put the archive at {where / partial.name.removesuffix('.partial')}, "
        f"or the unpacked devkit at {where / DEVKIT}",
    )


def _network_reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    return str(getattr(inner, "strerror", None) or inner) or type(error).__name__
