"""Mask values keep the names they were made with."""

from __future__ import annotations

import pytest

from recam_cli.core.errors import RunError
from recam_cli.core.runs.classes import require_classes
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "run")
    run.manifest.stages["train-cls"] = StageEntry(state="done", notes={"classes": ["bus", "cat"]})
    run.manifest.stages["make-seeds"] = StageEntry(state="done")
    return run


@pytest.mark.parametrize(
    ("classes", "message"),
    [(("cat", "bus"), "class 1 as 'bus', not as 'cat'"), (("bus", "cat", "dog"), "2 classes, not the 3 of")],
)
def test_other_classes_or_another_order_are_refused_with_the_first_difference(run, tmp_path, classes, message):
    with pytest.raises(RunError, match=message):
        require_classes(run, "train-cls", classes, tmp_path)


def test_the_same_classes_pass_and_so_do_any_where_none_are_noted(run, tmp_path):
    require_classes(run, "train-cls", ("bus", "cat"), tmp_path)
    require_classes(run, "make-seeds", ("cat",), tmp_path)
    require_classes(run, "train-seg", ("cat",), tmp_path)
