"""visualize: one picture per photograph, whatever the photograph; failures are told and do not stop the others."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from recam_cli.core.data.images import read_image
from recam_cli.core.errors import DataError, RunError, UsageError
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.resolve import resolve
from recam_cli.core.settings.visualize import VisualizeSettings
from recam_cli.stages import visualize
from tests.helpers.real_data import mobilenet_weights, msrc_root
from tests.helpers.tiny_data import TINY_CLASSES
from tests.helpers.tiny_run import add_segmenter, make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def photo(made):
    return made.path.parent / "data" / "JPEGImages" / "img_000.jpg"


def look(run, *images, reporter=None, **flags):
    flags = {"workers": 0, "device": "cpu", "precision": "fp32", **flags}
    return visualize.run(resolve(VisualizeSettings, flags=flags), run, reporter or SilentReporter(), images)


def test_a_photograph_gives_a_picture_with_its_classes_and_mask(made, photo, tmp_path):
    result = look(made, photo, out=tmp_path)
    (one,) = result.shown
    assert one.picture == tmp_path / "img_000.png"
    assert read_image(one.picture).shape[1] > 3 * 280
    assert {name for name, _ in one.classes} <= set(TINY_CLASSES)
    assert sum(one.mask.values()) == pytest.approx(1, abs=1e-3)
    assert one.prediction is None
    json.dumps(result.as_dict(), allow_nan=False)


def test_long_names_get_pictures_and_those_too_long_are_told(made, photo, tmp_path):
    paths = [tmp_path / f"{'n' * 251}.jpg", tmp_path / "sub" / f"{'n' * 251}.jpg", tmp_path / ("m" * 255)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo.read_bytes())
    result = look(made, *paths, out=tmp_path / "out")
    assert [one.picture.name for one in result.shown] == [f"{'n' * 251}.png"]
    assert [failure.path for failure in result.failed] == paths[1:]  # the second would be …-2.png
    for failure in result.failed:
        assert "its name is too long" in failure.reason and "Rename the photograph" in failure.reason


@pytest.mark.parametrize(
    ("stage", "part", "wrong"),
    [
        ("make-seeds", "settings", {"scales": [[1]]}),
        ("make-seeds", "settings", {"scales": 5}),
        ("make-seeds", "notes", {"seed_weights": ["fc1"]}),
        ("make-masks", "settings", {"crf_iterations": "many"}),
    ],
    ids=str,
)
def test_recorded_values_of_the_wrong_kind_are_the_manifests_fault(made, photo, tmp_path, stage, part, wrong):
    run = Run.open(made.path)
    getattr(run.manifest.stages[stage], part).update(wrong)
    with pytest.raises(RunError, match=rf"run/manifest\.json: recorded {next(iter(wrong))}: "):
        look(run, photo, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_by_default_pictures_lie_in_the_run(made, photo):
    (one,) = look(made, photo).shown
    assert one.picture == made.path / "visualize" / "img_000.png"


def test_the_threshold_is_that_of_the_runs_masks_unless_given(made, photo, tmp_path):
    noted = look(made, photo, out=tmp_path)
    assert (noted.threshold, noted.threshold_chosen) == (0.3, "as the run's masks")
    given = look(made, photo, out=tmp_path, threshold="0.7")
    assert (given.threshold, given.threshold_chosen) == (0.7, "given")
    assert look(made, photo, out=tmp_path, method="cam").threshold_chosen == "default"


@pytest.mark.parametrize("method", ["run", "cam"])
def test_plain_cam_that_was_chosen_for_the_seeds_is_shown_beside_the_runs_masks(made, photo, tmp_path, method):
    run = Run.open(made.path)
    run.manifest.stages["make-seeds"].notes |= {"method": "cam", "seed_weights": "fc1"}
    found = look(run, photo, out=tmp_path, method=method)
    assert (found.classifier, found.threshold, found.threshold_chosen) == ("CAM", 0.3, "as the run's masks")
    assert look(run, photo, out=tmp_path, method="recam").classifier == "ReCAM"


def test_the_seed_cut_at_a_higher_threshold_covers_less(made, photo, tmp_path):
    low, high = (
        look(made, photo, out=tmp_path, threshold=t, refine="none").shown[0].mask["background"]
        for t in ("0.05", "0.95")
    )
    assert low < high


def test_the_maps_are_those_of_the_runs_seeds(made, photo):
    from recam_cli.core.cams.store import read_seed
    from recam_cli.core.models.viewer import run_viewer

    viewer = run_viewer(made, "run", None, None, _cpu(), "fp32", refine="none")
    stored = read_seed(made.path / "seeds" / "img_000.npz")
    view = viewer.look(read_image(photo), stored.classes.tolist())
    np.testing.assert_allclose(view.seed.maps, stored.maps, atol=2e-3)


def test_the_best_class_is_always_shown_and_top_limits_the_others(made, photo, tmp_path):
    assert len(look(made, photo, out=tmp_path, min_score=1.0).shown[0].classes) == 1
    everything = look(made, photo, out=tmp_path, min_score=0.0).shown[0].classes
    assert len(everything) == len(TINY_CLASSES)
    assert [score for _, score in everything] == sorted((s for _, s in everything), reverse=True)
    assert look(made, photo, out=tmp_path, min_score=0.0, top=2).shown[0].classes == everything[:2]


def test_labels_choose_the_classes_in_their_order(made, photo, tmp_path):
    (one,) = look(made, photo, out=tmp_path, labels="dog,Bus,dog").shown
    assert [name for name, _ in one.classes] == ["dog", "bus"]


def test_an_unknown_label_is_refused_with_the_closest_one(made, photo, tmp_path):
    with pytest.raises(UsageError, match=r"no class 'catt'\. Did you mean cat\?"):
        look(made, photo, out=tmp_path, labels="catt")
    with pytest.raises(UsageError, match="Known are bus, cat, dog"):
        look(made, photo, out=tmp_path, labels="xyzzy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1"])
def test_photographs_of_every_mode_are_shown(made, tmp_path, mode):
    path = tmp_path / f"photo{'.jpg' if mode in ('L', 'CMYK') else '.png'}"
    Image.new("RGB", (33, 21), (200, 40, 90)).convert(mode).save(path)
    assert len(look(made, path, out=tmp_path / "out").shown) == 1


def test_a_turned_photograph_is_shown_upright(made, tmp_path):
    image = Image.new("RGB", (60, 20), (200, 40, 90))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.save(tmp_path / "flat.jpg")
    turned, flat = (
        read_image(one.picture)
        for one in look(made, tmp_path / "turned.jpg", tmp_path / "flat.jpg", out=tmp_path / "out").shown
    )
    assert turned.shape[1] < flat.shape[1]


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (2, 300)])
def test_tiny_and_narrow_photographs_are_shown(made, tmp_path, size):
    Image.new("RGB", size, (10, 90, 20)).save(tmp_path / "photo.png")
    assert len(look(made, tmp_path / "photo.png", out=tmp_path / "out").shown) == 1


def test_a_broken_photograph_is_told_and_the_others_are_shown(made, photo, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(photo.read_bytes()[:200])
    reporter = SilentReporter()
    result = look(
        made, tmp_path / "broken.jpg", tmp_path / "absent.jpg", photo, out=tmp_path / "out", reporter=reporter
    )
    assert [one.image for one in result.shown] == [photo]
    assert [f.path.name for f in result.failed] == ["broken.jpg", "absent.jpg"]
    assert len(reporter.warnings) == 2 and "absent.jpg: no such image" in reporter.warnings[1]


def test_pictures_of_photographs_of_one_name_lie_beside_each_other(made, photo, tmp_path):
    other = tmp_path / "img_000.jpg"
    shutil.copy(photo, other)
    out = tmp_path / "out"
    names = [one.picture.name for one in look(made, photo, other, out=out).shown]
    assert names == ["img_000.png", "img_000-2.png"]
    again = [one.picture.name for one in look(made, other, photo, out=out).shown]
    assert again == ["img_000-2.png", "img_000.png"]
    assert len(list(out.iterdir())) == 2


def test_a_png_that_is_no_picture_of_ours_stays(made, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    (one,) = look(made, tmp_path / "a.png", out=tmp_path).shown
    assert one.picture.name == "a-2.png"
    assert (tmp_path / "a.png").read_bytes() == before


def test_equal_calls_give_equal_files(made, photo, tmp_path):
    first, second = (look(made, photo, out=tmp_path / name).shown[0].picture for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_segmenter_adds_its_prediction(made, photo, tmp_path):
    shutil.copytree(made.path, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    path = add_segmenter(run)
    (one,) = look(run, photo).shown
    assert sum(one.prediction.values()) == pytest.approx(1, abs=1e-3)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(RunError, match="has changed since train-seg wrote it"):
        look(run, photo)


def test_a_segmenter_of_other_classes_is_refused(made, photo, tmp_path):
    shutil.copytree(made.path, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    add_segmenter(run, classes=("bus", "cat"))
    with pytest.raises(RunError, match="other classes"):
        look(run, photo)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"threshold": "high"}, "neither auto nor a number"),
        ({"backbone": "resnet18"}, "--backbone goes with --weights"),
        ({"weights": "imagenet"}, "--run and --weights exclude each other"),
        ({"weights": "imagenet", "method": "cam"}, "--method goes with a run"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(made, photo, flags, message):
    with pytest.raises(UsageError, match=message):
        look(made, photo, **flags)


def test_without_run_and_weights_it_says_what_to_do(photo):
    with pytest.raises(RunError, match="--weights imagenet"):
        look(None, photo)


def test_vgg_has_no_maps(photo):
    with pytest.raises(UsageError, match="no global average pooling"):
        look(None, photo, weights="imagenet", backbone="vgg16")


def test_weights_without_an_imagenet_head_are_refused(photo, tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="no ImageNet head"):
        look(None, photo, weights=str(tmp_path / "w.safetensors"))


def test_a_stock_classifier_names_what_it_sees_on_a_real_photograph(tmp_path):
    photo = msrc_root() / "JPEGImages" / "9_27_s.jpg"
    (one,) = look(None, photo, weights=str(mobilenet_weights()), out=tmp_path, scales="1").shown
    assert len(one.classes) == visualize.STOCK_TOP
    assert one.classes[0][0] == "ram" and one.mask is None
    assert read_image(one.picture).shape[1] > 4 * 280


def _cpu():
    import torch

    return torch.device("cpu")
