"""Where weights come from: safetensors that are what they say; torch files only by import, downloads only by hash."""

from __future__ import annotations

import hashlib
import shutil

import pytest
import torch

from recam_cli.core import download
from recam_cli.core.errors import DataError
from recam_cli.core.models import weights
from recam_cli.core.models.backbones import BACKBONES
from recam_cli.core.models.importing import import_weights
from recam_cli.core.models.packaged import PACKAGES
from recam_cli.core.models.weights import find_weights
from tests.helpers.leftovers import left_beside

NAME = "mobilenet_v2"
FILE = "mobilenet_v2-b0353104.pth"


@pytest.fixture(scope="module")
def torch_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("foreign") / FILE
    torch.save(BACKBONES[NAME].build().state_dict(), path)
    return path


@pytest.fixture
def network(torch_file, monkeypatch):
    """Make the torch file the answer of the network; give the addresses asked for."""
    asked = []

    def fetch(url, partial, max_bytes, reporter):
        asked.append(url)
        partial.write_bytes(torch_file.read_bytes())

    monkeypatch.setattr(weights, "fetch", fetch)
    return asked


def known(monkeypatch, torch_file):
    digest = hashlib.sha256(torch_file.read_bytes()).hexdigest()
    monkeypatch.setitem(weights.SHA256, FILE, digest)
    return digest


def test_a_torch_file_is_refused_with_the_command_that_imports_it(torch_file):
    with pytest.raises(DataError, match="not safetensors") as caught:
        find_weights(NAME, str(torch_file))
    assert str(caught.value).endswith(f"recam import-weights {torch_file} --backbone {NAME}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_torch_file_found_by_name_is_refused_too_until_it_is_imported(torch_file, tmp_path, network):
    shutil.copy(torch_file, tmp_path / FILE)
    with pytest.raises(DataError, match=rf"recam import-weights .*{FILE} --backbone {NAME}"):
        find_weights(NAME, "imagenet", folder=tmp_path)
    import_weights(tmp_path / FILE, None, None, tmp_path, overwrite=False)
    assert find_weights(NAME, "imagenet", folder=tmp_path).origin == str(tmp_path / f"{NAME}.safetensors")
    assert network == []


def test_a_download_is_imported_once_and_the_torch_file_not_kept(torch_file, tmp_path, network, monkeypatch):
    digest = known(monkeypatch, torch_file)
    first = find_weights(NAME, "imagenet", folder=tmp_path)
    again = find_weights(NAME, "imagenet", folder=tmp_path)
    assert [url.startswith("https://") and url.endswith(FILE) for url in network] == [True]
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.safetensors"]
    assert (first.origin, first.sha256) == (again.origin, again.sha256)
    from recam_cli.core.models.checkpoint import read_about

    about = read_about(tmp_path / f"{NAME}.safetensors")
    assert (about["imported_from"], about["imported_sha256"]) == (FILE, digest)


@pytest.mark.parametrize("known_of", ["the whole hash", "how the hash begins"])
def test_a_download_of_another_hash_is_never_read_nor_kept(torch_file, tmp_path, network, monkeypatch, known_of):
    left_beside(tmp_path / FILE).write_bytes(b"half")  # of a download that was killed
    if known_of == "how the hash begins":
        monkeypatch.delitem(weights.SHA256, FILE)
    else:  # alike in all but the last digit
        digest = known(monkeypatch, torch_file)
        monkeypatch.setitem(weights.SHA256, FILE, digest[:-1] + ("0" if digest[-1] != "0" else "1"))
    monkeypatch.setattr(weights, "import_weights", lambda *a, **k: pytest.fail("read"))
    with pytest.raises(DataError, match=r"has the SHA-256 .*, expected"):
        find_weights(NAME, "imagenet", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_leaves_nothing_and_says_how_to_do_without(tmp_path, monkeypatch):
    def fetch(url, partial, max_bytes, reporter):
        partial.write_bytes(b"half")
        raise download.DownloadError("the connection broke off")

    monkeypatch.setattr(weights, "fetch", fetch)
    with pytest.raises(DataError, match=rf"the connection broke off.*recam import-weights {FILE}"):
        find_weights(NAME, "imagenet", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_backbones_download_is_by_https_and_of_a_known_hash():
    from recam_cli.core.models.torchvision_gate import torchvision

    downloaded = {name: spec for name, spec in BACKBONES.items() if name not in PACKAGES}
    for name, spec in downloaded.items():
        url = getattr(torchvision().models, spec.reference).IMAGENET1K_V1.url
        file = url.rsplit("/", 1)[1]
        prefix = file.removesuffix(".pth").rsplit("-", 1)[1]
        assert url.startswith("https://") and len(prefix) >= 8, name
        assert weights.SHA256[file].startswith(prefix)
    assert all(len(digest) == 64 for digest in weights.SHA256.values())


def test_a_flipped_bit_in_imported_weights_is_found(torch_file, tmp_path):
    path = import_weights(torch_file, None, None, tmp_path, overwrite=False).path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="does not match the hash in its header"):
        find_weights(NAME, str(path))
