from __future__ import annotations

import hashlib
import re
import socket
import tarfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from recam_cli.core import download
from recam_cli.core.data import voc_download
from recam_cli.core.data.voc import open_voc
from recam_cli.core.data.voc_download import download_voc, official_archive
from recam_cli.core.errors import DataError, ExitCode
from tests.helpers.tiny_data import make_voc

NAME = "VOCtrainval_11-May-2012.tar"


class Server:
    """A loopback server of one file, with faults to switch on.

    Attributes:
        ranges: the Range header of each request, or None.
        cut: bytes after which each answer breaks off, or None.
        honest_ranges: whether ranges are answered with 206.
        status: an error status to answer with, or None.
    """

    def __init__(self, content):
        self.content, self.ranges = content, []
        self.cut, self.honest_ranges, self.status, self.shift = None, True, None, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"https://127.0.0.1:{self.httpd.server_port}/{NAME}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.ranges.append(wanted)
        if self.status:
            handler.send_error(self.status)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.honest_ranges else 0
        if start >= len(self.content):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            last = len(self.content) - 1
            handler.send_header("Content-Range", f"bytes {start + self.shift}-{last}/{len(self.content)}")
        handler.send_header("Content-Length", str(len(self.content) - start))
        handler.end_headers()
        end = len(self.content) if self.cut is None else start + self.cut
        handler.wfile.write(self.content[start:end])


def _without_tls(request):
    """Open an https address of the loopback server, which speaks http."""
    plain = request.full_url.replace("https://127.0.0.1", "http://127.0.0.1")
    return urllib.request.urlopen(urllib.request.Request(plain, headers=dict(request.headers)), timeout=10)


@pytest.fixture(autouse=True)
def quick_and_local(monkeypatch):
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    monkeypatch.setattr(download, "_open", _without_tls)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("source")
    make_voc(root / "VOCdevkit" / "VOC2012")
    with tarfile.open(root / NAME, "w") as tar:
        tar.add(root / "VOCdevkit", "VOCdevkit")
    return (root / NAME).read_bytes()


@pytest.fixture
def server(archive):
    with Server(archive) as running:
        yield running


def fetch(server, root, **options):
    return download_voc(root, url=server.url, sha256=hashlib.sha256(server.content).hexdigest(), **options)


def test_the_official_archive_is_the_one_torchvision_names():
    official = official_archive()
    assert official.filename == NAME
    assert official.url.startswith("https://")
    assert [name for name, _ in official.sums] == ["md5", "sha256"]


def test_the_devkit_is_fetched_unpacked_and_readable(tmp_path, server):
    root = fetch(server, tmp_path / "data")
    assert root == tmp_path / "data" / "VOCdevkit" / "VOC2012"
    assert len(open_voc(root, "train").with_masks()) == 4
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["VOCdevkit"]
    assert [p.name for p in (tmp_path / "data" / "VOCdevkit").iterdir()] == ["VOC2012"]


def test_what_is_there_is_not_fetched_again(tmp_path, server):
    assert fetch(server, tmp_path) == fetch(server, tmp_path)
    assert len(server.ranges) == 1


def test_a_broken_connection_is_taken_up_where_it_broke_off(tmp_path, server):
    server.cut = len(server.content) // 3 + 1
    fetch(server, tmp_path)
    assert server.ranges == [None, f"bytes={server.cut}-", f"bytes={2 * server.cut}-"]


def test_a_later_call_continues_an_interrupted_one(tmp_path, server):
    (tmp_path / f"{NAME}.partial").write_bytes(server.content[:1000])
    fetch(server, tmp_path)
    assert server.ranges == ["bytes=1000-"]


def test_a_server_without_ranges_sends_it_anew(tmp_path, server):
    (tmp_path / f"{NAME}.partial").write_bytes(b"x" * 1000)
    server.honest_ranges = False
    assert fetch(server, tmp_path).is_dir()


def test_a_complete_partial_file_only_needs_its_checksum(tmp_path, server):
    (tmp_path / f"{NAME}.partial").write_bytes(server.content)
    assert fetch(server, tmp_path).is_dir()


def test_a_server_that_sends_another_part_is_given_up(tmp_path, server):
    (tmp_path / f"{NAME}.partial").write_bytes(server.content[:1000])
    server.shift = 7
    with pytest.raises(DataError, match="another part"):
        fetch(server, tmp_path)
    assert (tmp_path / f"{NAME}.partial").read_bytes() == server.content[:1000]


@pytest.mark.parametrize("how", ["content", "partial"])
def test_a_wrong_checksum_is_refused_and_the_file_deleted(tmp_path, server, how):
    if how == "partial":
        (tmp_path / f"{NAME}.partial").write_bytes(b"x" * 1000)
    wanted = hashlib.sha256(server.content).hexdigest() if how == "partial" else "0" * 64
    with pytest.raises(DataError, match="wrong sha256 sum") as caught:
        download_voc(tmp_path, url=server.url, sha256=wanted)
    assert caught.value.exit_code == ExitCode.BAD_DATA
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_must_send_the_official_file(tmp_path, server):
    with pytest.raises(DataError, match="wrong md5 sum"):
        download_voc(tmp_path, url=server.url)


def test_an_archive_put_there_by_hand_is_used_and_kept(tmp_path, server):
    (tmp_path / NAME).write_bytes(server.content)
    assert fetch(server, tmp_path).is_dir()
    assert server.ranges == []
    assert (tmp_path / NAME).is_file()


def test_a_wrong_archive_put_there_by_hand_is_refused_but_not_deleted(tmp_path, server):
    (tmp_path / NAME).write_bytes(b"something of the user's")
    with pytest.raises(DataError, match="Delete it"):
        fetch(server, tmp_path)
    assert (tmp_path / NAME).is_file()


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, download.ATTEMPTS)])
def test_a_refusal_is_reported_and_only_passing_ones_are_tried_again(tmp_path, server, status, requests):
    server.status = status
    with pytest.raises(DataError, match=f"the server answers {status}"):
        fetch(server, tmp_path)
    assert len(server.ranges) == requests


def test_connections_that_bring_nothing_are_given_up(tmp_path, server):
    server.cut = 0
    with pytest.raises(DataError, match="the connection broke off"):
        fetch(server, tmp_path)
    assert len(server.ranges) == download.ATTEMPTS


def test_without_network_one_message_says_what_to_put_where(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{probe.getsockname()[1]}/x.tar"
    with pytest.raises(DataError) as caught:
        download_voc(tmp_path / "data", url=url)
    message = str(caught.value)
    assert "Connection refused" in message
    assert str(tmp_path / "data" / NAME) in message
    assert str(tmp_path / "data" / "VOCdevkit" / "VOC2012") in message
    assert caught.value.exit_code == ExitCode.BAD_DATA


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "x.tar", "http://127.0.0.1/x", "https://", "https://[bad"]
)
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(DataError):
        download_voc(tmp_path, url=url)


def test_more_bytes_than_the_devkit_has_are_not_taken(tmp_path, server, monkeypatch):
    monkeypatch.setattr(voc_download, "MAX_ARCHIVE_BYTES", 1000)
    with pytest.raises(DataError, match="more than the 1,000 allowed"):
        fetch(server, tmp_path)


def test_another_folder_in_the_place_is_left_alone(tmp_path, server):
    (tmp_path / "VOCdevkit" / "VOC2012" / "mine").mkdir(parents=True)
    with pytest.raises(DataError, match="is no VOC devkit"):
        fetch(server, tmp_path)
    assert server.ranges == []


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "ten", ""])
def test_lengths_that_are_no_numbers_are_passed_over(length):
    answer = SimpleNamespace(status=200, headers={"Content-Length": length})
    assert download._extent(answer, 0) == (0, None)


@pytest.mark.parametrize("part", ["bytes ²-3/4", f"bytes {'9' * 5000}-1/2", "bytes 1-2/" + "9" * 5000, "bytes", ""])
def test_parts_that_are_no_numbers_count_as_broken_off(part):
    answer = SimpleNamespace(status=206, headers={"Content-Range": part})
    with pytest.raises(download._BrokenOffError):
        download._extent(answer, 1)
