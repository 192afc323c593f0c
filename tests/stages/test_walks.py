"""What make-masks promises of every walk, that of IRN and that of PSA."""

from __future__ import annotations

import pytest

from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.runs.run import Run
from tests.helpers.manifests import edited_manifest
from tests.helpers.tiny_run import make_run
from tests.helpers.walk_run import contents, stamps, walk

LABELS = {"irn": "confident", "psa": "psa-labels"}
PARTS = {"irn": ("confident-labels", "train-irn"), "psa": ("psa-labels", "train-psa")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("walks")
    run = make_run(root)
    return root / "data", run.path


@pytest.fixture(params=["irn", "psa"])
def kind(request):
    return request.param


def test_a_repeated_command_keeps_every_part(trained, kind):
    data, path = trained
    folders = (LABELS[kind], kind, "walked", "masks")
    walk(data, path, kind)
    before = stamps(path, *folders)
    recorded = {part: Run.open(path).require(part) for part in (*PARTS[kind], "random-walk")}

    assert walk(data, path, kind).kept == 4

    assert stamps(path, *folders) == before
    assert {part: Run.open(path).require(part) for part in recorded} == recorded


def test_the_same_seed_trains_the_same_network(trained, kind):
    data, path = trained
    weights = path / kind / f"{kind}.safetensors"
    walk(data, path, kind, seed=5)
    first = weights.read_bytes()
    walk(data, path, kind, seed=6)
    assert weights.read_bytes() != first

    walk(data, path, kind, seed=5)
    assert weights.read_bytes() == first


def test_given_weights_skip_labels_and_training(trained, kind, tmp_path):
    data, path = trained
    walk(data, path, kind)
    weights = tmp_path / "given.safetensors"
    weights.write_bytes((path / kind / f"{kind}.safetensors").read_bytes())
    usual = contents(path, "masks")
    with edited_manifest(path) as manifest:
        for part in PARTS[kind]:
            del manifest["stages"][part]

    walk(data, path, kind, **{f"{kind}_weights": str(weights)})

    assert not set(PARTS[kind]) & set(Run.open(path).manifest.stages)
    masks = {file: data for file, data in contents(path, "masks").items() if file.suffix == ".png"}
    assert masks == {file: data for file, data in usual.items() if file.suffix == ".png"}


def test_settings_that_cannot_be_are_refused_and_masks_stay(trained, kind):
    data, path = trained
    walk(data, path, kind)
    before = contents(path, "masks")

    own = {
        "irn": (
            ({"confident_fg": 0.2, "confident_bg": 0.4}, "--confident-bg or --confident-fg"),
            ({"irn_scale": "2,1"}, "--irn-scale: give two numbers"),
        ),
        "psa": (({"psa_low_alpha": 8, "psa_high_alpha": 4}, "--psa-low-alpha or --psa-high-alpha"),),
    }
    for flags, message in (
        *own[kind],
        ({"walk_floor": "much"}, "--walk-floor: 'much'"),
        ({"walk_floor": "1"}, "taken off the seeds before the walk is 1"),
        ({"walk_threshold": "2"}, "--walk-threshold: '2'"),
        ({"device": "abacus"}, "--device: 'abacus'"),
    ):
        with pytest.raises(UsageError, match=message):
            walk(data, path, kind, **flags)

    assert contents(path, "masks") == before


def test_other_settings_are_refused_before_any_part_is_made_anew(trained, kind):
    data, path = trained
    walk(data, path, kind)
    before = contents(path, LABELS[kind], kind, "walked", "masks")
    own = {"irn": {"confident_bg": 0.1}, "psa": {"psa_low_alpha": 8.0}}[kind]

    for other in ({f"{kind}_epochs": 2}, {"walk_beta": 4}, own, {"walk_threshold": "0.9"}):
        with pytest.raises(RunError, match=next(iter(other))):
            walk(data, path, kind, overwrite=False, **other)

    assert contents(path, LABELS[kind], kind, "walked", "masks") == before
    assert walk(data, path, kind, overwrite=False, walk_floor="AUTO").kept == 4


def test_another_cut_walks_nothing_anew(trained, kind):
    data, path = trained
    walk(data, path, kind)
    walked = stamps(path, "walked")

    assert walk(data, path, kind, walk_threshold="0.7").made == 4

    assert stamps(path, "walked") == walked


def test_without_the_crf_its_settings_do_not_matter(trained, kind):
    data, path = trained
    walk(data, path, kind)
    crf = {"crf_iterations": 3, "crf_bilateral_srgb": 9.0, "unary": "soft"}
    assert walk(data, path, kind, overwrite=False, **crf).kept == 4


def test_where_labels_walk_the_exponent_of_the_walking_background_does_not_matter(trained):
    data, path = trained
    walk(data, path, "psa", walk_sources="labels")
    before = stamps(path, "walked")
    walk(data, path, "psa", walk_sources="labels", psa_walk_alpha=3)
    assert stamps(path, "walked") == before


def test_thresholds_of_irns_labels_do_not_change_psa(trained):
    data, path = trained
    walk(data, path, "psa")
    assert walk(data, path, "psa", overwrite=False, confident_bg=0.05, confident_fg=0.9).kept == 4
