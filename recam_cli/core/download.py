"""Downloads: by https from end to end, of bounded size, resumed where they broke off, and trusted in nothing.

What arrives lies under the name the caller gives, which is not the file's own: it is for the caller to check its hash
and only then to give it its name, or to read it.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from recam_cli.core.reporter import Reporter

ATTEMPTS = 5
"""Connections in a row that may bring nothing; each resumes where the last one broke off."""
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""
_PAUSE = 1.0
"""Seconds waited after the first broken connection; doubled with each further one."""
_BLOCK = 1 << 20


class DownloadError(Exception):
    """A download that failed for good; the text says why, and names neither address nor file."""


class _BrokenOffError(Exception):
    """The connection ended, or the server answered what does not fit."""


class _NoConnectionError(_BrokenOffError):
    """The server could not be reached."""


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https alone."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request that follows, or refuse."""
        if not newurl.lower().startswith("https://"):
            raise DownloadError(f"the server sends on to {newurl[:200]}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def https_opener(transport: urllib.request.BaseHandler | None = None) -> urllib.request.OpenerDirector:
    """Return an opener that knows https and nothing else; `transport` takes the place of its connections."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        transport or urllib.request.HTTPSHandler(),
        _OnlyHttps(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def fetch(url: str, partial: Path, max_bytes: int, reporter: Reporter) -> None:
    """Bring `partial` to the full length of the file at `url`, over as many connections as it takes.

    Args:
        url: an https address.
        partial: what there is of it so far, if anything; the rest is appended.
        max_bytes: a file of more is given up.
        reporter: where progress goes.

    Raises:
        DownloadError: not https, no network, a server's refusal, or too many bytes; what arrived stays.
        OSError: `partial` cannot be written.
    """
    if not url.lower().startswith("https://"):
        raise DownloadError("not an https address")
    failures = 0
    while failures < ATTEMPTS:
        before = size_so_far(partial)
        try:
            if _fetch_rest(url, partial, max_bytes, reporter):
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
        failures = 1 if size_so_far(partial) > before else failures + 1
        reporter.detail(f"{url}: {reason}; trying again")
        time.sleep(_PAUSE * 2.0 ** (failures - 1))
    raise DownloadError(reason)


def size_so_far(path: Path) -> int:
    """Return the bytes of a file that may not be there."""
    return path.stat().st_size if path.exists() else 0


def digests_of(path: Path, algorithms: Iterable[str]) -> dict[str, str]:
    """Return the file's hex digests by hashlib's names, from one pass over it."""
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for digest in digests.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    response: http.client.HTTPResponse = https_opener().open(request, timeout=TIMEOUT)
    return response


def _fetch_rest(url: str, partial: Path, max_bytes: int, reporter: Reporter) -> bool:
    """Append what is missing; return whether the file is complete."""
    have = size_so_far(partial)
    headers = {"User-Agent": "recam", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = _open(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is missing, or it is another file: the checksum tells
            return True
        raise
    except (OSError, ValueError) as error:
        raise _NoConnectionError(_network_reason(error)) from error
    with response:
        start, total = _extent(response, have)
        if total is not None and total > max_bytes:
            raise DownloadError(f"{total:,} bytes are more than the {max_bytes:,} allowed")
        with (
            partial.open("r+b" if start else "wb") as file,
            reporter.track("download", total or 0, "byte") as bar,
        ):
            file.seek(start)
            file.truncate()
            bar.advance(start)
            end = start
            while block := _read(response):
                end += len(block)
                if end > max_bytes:
                    raise DownloadError(f"more than the {max_bytes:,} bytes allowed")
                file.write(block)
                bar.advance(len(block))
    return total is None or end >= total


def _extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Return where in the file the answer begins, and the file's full length if the server tells."""
    if response.status == 206:
        part = r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)"
        match = re.fullmatch(part, response.headers.get("Content-Range", ""))
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


def _network_reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    return str(getattr(inner, "strerror", None) or inner) or type(error).__name__
