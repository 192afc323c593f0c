"""The house keeps its floors: commands → stages → core, never back; and the command line starts without torch."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "recam_cli"
MODULES = sorted(ROOT.rglob("*.py"))
FLOORS = {"terminal": 2, "commands": 2, "stages": 1, "core": 0}
HEAVY = ("torch", "torchvision", "cv2", "matplotlib", "pydensecrf", "numba", "numpy", "PIL")


def _imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _floor(parts):
    return FLOORS.get(parts[0], 3)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_floor_or_below(path):
    own = _floor(path.relative_to(ROOT).with_suffix("").parts)
    for name in _imports(path):
        if name.startswith("recam_cli."):
            assert _floor(name.split(".")[1:]) <= own, f"imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_top_floor_knows_the_terminal(path):
    if path.relative_to(ROOT).parts[0] in ("stages", "core"):
        assert not {name.split(".")[0] for name in _imports(path)} & {"typer", "rich", "click"}


@pytest.mark.parametrize("folder", ["commands", "core/settings", "core/runs"])
def test_modules_read_at_start_up_import_nothing_heavy(folder):
    for path in (ROOT / folder).rglob("*.py"):
        names = {name.split(".")[0] for name in _imports(path, top_level_only=True)}
        assert not names & set(HEAVY), path


def test_torchvision_is_imported_in_one_place_only():
    users = [p.name for p in MODULES if any(n.split(".")[0] == "torchvision" for n in _imports(p))]
    assert users == ["torchvision_gate.py"]


DOOR = "core/models/foreign.py"
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
READERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "pandas"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_code_comes_from_data_and_torch_files_come_in_by_one_door(path):
    text = path.read_text(encoding="utf-8")
    assert "allow_pickle=True" not in text and "weights_only=False" not in text
    assert not {name.split(".")[0] for name in _imports(path)} & READERS
    loads = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called, call = ast.unparse(node.func), ast.unparse(node)
            assert called not in RUNS_CODE, call
            assert not called.startswith("torch.hub."), call
            assert called not in ("np.load", "numpy.load") or "allow_pickle=False" in call, call
            loads += [call] if called in ("torch.load", "torch.jit.load", "torch.serialization.load") else []
        elif isinstance(node, ast.ImportFrom) and node.module in ("torch", "numpy"):
            assert not {alias.name for alias in node.names} & {"load", "hub"}, path
    assert len(loads) == (1 if str(path.relative_to(ROOT)) == DOOR else 0)
    assert all(call.startswith("torch.load(") and "weights_only=True" in call for call in loads)


def test_no_file_is_longer_than_a_room():
    long = {str(p.relative_to(ROOT)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 400}
    assert not long


@pytest.mark.parametrize("file", sorted(Path(__file__).parent.glob("benchmarks/*.py")), ids=lambda file: file.stem)
def test_every_benchmark_finds_what_it_imports(file):
    importlib.import_module(f"tests.benchmarks.{file.stem}")
