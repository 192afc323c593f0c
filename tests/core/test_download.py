"""Downloads stay on https, within their size, and take nothing for the file before it is all there."""

from __future__ import annotations

import email.message
import http.client
import io
import urllib.error
import urllib.request

import pytest

from recam_cli.core import download
from recam_cli.core.download import DownloadError, fetch, https_opener
from recam_cli.core.reporter import SilentReporter

URL = "https://example.org/weights.pth"


class Answer(io.BytesIO):
    """What a server answers: a status, headers, a body."""

    def __init__(self, status=200, body=b"", **headers):
        super().__init__(body)
        self.status = self.code = status
        self.msg = self.reason = http.client.responses[status]
        self.headers = email.message.Message()
        for name, value in headers.items():
            self.headers[name.replace("_", "-")] = str(value)

    def info(self):
        return self.headers


class Transport(urllib.request.BaseHandler):
    """Takes the place of https connections, and notes the addresses asked for."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def https_open(self, request):
        self.asked.append(request.full_url)
        return self.answers.pop(0)


@pytest.fixture
def served(monkeypatch):
    """Give a function that makes the given answers those of the network."""
    monkeypatch.setattr(download, "_PAUSE", 0.0)

    def serve(*answers):
        transport = Transport(*answers)
        monkeypatch.setattr(download, "_open", https_opener(transport).open)
        return transport

    return serve


def bring(path, max_bytes=100, url=URL):
    fetch(url, path, max_bytes, SilentReporter())
    return path.read_bytes()


def test_a_redirection_within_https_is_followed(served, tmp_path):
    transport = served(Answer(302, Location="https://mirror.org/w"), Answer(body=b"weights"))
    assert bring(tmp_path / "w") == b"weights"
    assert transport.asked == [URL, "https://mirror.org/w"]


@pytest.mark.parametrize(
    "place", ["http://example.org/w", "file:///etc/passwd", "ftp://example.org/w", "HTTP://x.org/"]
)
def test_a_redirection_away_from_https_is_refused_and_not_asked_for(served, tmp_path, place):
    transport = served(Answer(302, Location=place), Answer(body=b"evil"))
    with pytest.raises(DownloadError, match=r"not https|is not allowed"):
        bring(tmp_path / "w")
    assert transport.asked == [URL]
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "url", ["http://example.org/w", "file:///etc/passwd", "data:,x", "ftp://example.org/w", "w.pth"]
)
def test_other_addresses_are_refused_before_anything_is_asked(served, tmp_path, url):
    transport = served(Answer(body=b"evil"))
    with pytest.raises(DownloadError, match="not an https address"):
        bring(tmp_path / "w", url=url)
    assert transport.asked == []


@pytest.mark.parametrize("url", ["http://example.org/w", "file:///etc/passwd", "data:,x", "ftp://example.org/w"])
def test_the_opener_itself_knows_nothing_but_https(url):
    with pytest.raises(urllib.error.URLError, match="unknown url type"):
        https_opener().open(url)


def test_a_file_announced_larger_than_allowed_is_not_begun(served, tmp_path):
    served(Answer(body=b"x" * 200, Content_Length=200))
    with pytest.raises(DownloadError, match="200 bytes are more than the 100 allowed"):
        bring(tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_file_that_turns_out_larger_than_allowed_is_given_up(served, tmp_path):
    served(Answer(body=b"x" * 200))
    with pytest.raises(DownloadError, match="more than the 100 bytes allowed"):
        bring(tmp_path / "w")
    assert download.size_so_far(tmp_path / "w") <= 100
