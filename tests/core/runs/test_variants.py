from __future__ import annotations

import pytest

from recam_cli.core.errors import RunError
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.runs.variants import (
    command,
    require_variant,
    resolve_method,
    seed_method,
    seen_suffix,
    variant_suffix,
)


def trained(tmp_path, method, **stages):
    run = Run.create(tmp_path / "run")
    run.manifest.stages["train-cls"] = StageEntry(state="done", settings={"method": method})
    for name, state in stages.items():
        run.manifest.stages[name.replace("_", "-")] = StageEntry(state=state, fingerprint=name)
    return run


@pytest.mark.parametrize(
    ("trained_as", "asked", "method", "suffix"),
    [
        ("recam", "run", "recam", ""),
        ("recam", "recam", "recam", ""),
        ("recam", "cam", "cam", "-cam"),
        ("cam", "run", "cam", ""),
        ("cam", "cam", "cam", ""),
    ],
)
def test_which_variant_is_meant(tmp_path, trained_as, asked, method, suffix):
    run = trained(tmp_path, trained_as)

    assert resolve_method(run, asked) == method
    assert variant_suffix(run, asked) == suffix


@pytest.mark.parametrize(
    ("chosen", "asked", "beside", "method", "suffix"),
    [
        ("recam", "run", False, "recam", ""),
        ("recam", "cam", False, "cam", "-cam"),
        ("cam", "run", False, "cam", ""),
        ("cam", "cam", False, "cam", ""),
        ("cam", "cam", True, "cam", "-cam"),
        ("cam", "recam", False, "recam", ""),
    ],
)
def test_the_runs_own_seeds_show_the_method_that_was_chosen_for_them(tmp_path, chosen, asked, beside, method, suffix):
    run = trained(tmp_path, "auto", make_seeds="done", **({"make_seeds_cam": "done"} if beside else {}))
    run.manifest.stages["make-seeds"].notes["method"] = chosen
    assert (seed_method(run, asked), seen_suffix(run, asked)) == (method, suffix)


def test_a_cam_run_has_no_recam(tmp_path):
    with pytest.raises(RunError, match="trained with --method cam and has no ReCAM"):
        variant_suffix(trained(tmp_path, "cam"), "recam")


def test_an_untrained_run_names_train_cls(tmp_path):
    with pytest.raises(RunError, match="train-cls has not been run"):
        variant_suffix(Run.create(tmp_path / "run"), "cam")


def test_the_entry_of_a_variant_or_the_command_that_makes_it(tmp_path):
    run = trained(tmp_path, "recam", make_seeds="done", make_seeds_cam="failed")

    assert require_variant(run, "make-seeds", "").fingerprint == "make_seeds"
    with pytest.raises(RunError, match=r"Run: recam make-seeds --method cam --run \S+/run$"):
        require_variant(run, "make-seeds", "-cam")


def test_commands_are_safe_to_paste(tmp_path):
    run = Run.create(tmp_path / "my run")

    assert command(run, "make-masks", "").endswith("--run '" + str(tmp_path / "my run") + "'")
