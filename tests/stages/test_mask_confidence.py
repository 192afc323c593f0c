"""make-masks and the confidence of its masks: stored and resumed with them; what --ignore-below leaves out."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from recam_cli.core.cams.store import read_seed
from recam_cli.core.data.images import read_image, read_mask
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.data.samples import IGNORE
from recam_cli.core.errors import DataError, RunError, UsageError
from recam_cli.core.masks.confidence import MEAN_FIELD_TEMPERATURE, confidence_levels, read_confidence, unsure
from recam_cli.core.masks.refine import SeedRefiner
from recam_cli.core.masks.unary import probabilities, seed_scores
from recam_cli.core.metrics.coverage import CONFIDENCES
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs import files
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.evaluate import EvaluateSettings
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import evaluate, make_masks
from tests.helpers.kills import call
from tests.helpers.tiny_data import TINY_SIZE
from tests.helpers.tiny_run import make_run

IMAGES = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("confidence"), plain_cam=True).path


@pytest.fixture
def run(made):
    for folder in ("masks", "confidence"):
        for path in (made / folder).glob("*"):
            path.unlink()
    return Run.open(made)


def settings_of(run, **flags):
    common = {"dataset": "custom", "data_root": str(run.path.parent / "data"), "threshold": "0.3"}
    return resolve(MakeMasksSettings, flags=common | {"workers": 0, "refine": "crf"} | flags)


def make(run, **flags):
    return make_masks.run(settings_of(run, **flags), Run.open(run.path), SilentReporter())


def score(run, **flags):
    data = {"dataset": "custom", "data_root": str(run.path.parent / "data"), "of": "masks"}
    reporter = SilentReporter()
    return evaluate.run(resolve(EvaluateSettings, flags=data | flags), Run.open(run.path), reporter), reporter


def files_of(run, *folders):
    names = folders or ("masks", "confidence")
    return {f"{f}/{p.name}": p.read_bytes() for f in names for p in (run.path / f).glob("[!.]*")}


def levels_of(run, image):
    return read_confidence(run.path / "confidence" / f"{image}.png", TINY_SIZE)


def ids(run):
    return sorted(path.stem for path in (run.path / "masks").glob("*.png"))


@pytest.mark.parametrize("refine", ["crf", "none"])
def test_every_mask_has_the_confidence_of_the_distribution_it_is_cut_from(run, refine):
    make(run, refine=refine, soft_temperature=0.1)

    for sample in open_dataset(settings_of(run).settings, "train"):
        seed = read_seed(run.path / "seeds" / f"{sample.id}.npz")
        if refine == "crf":
            shares = SeedRefiner(read_image(sample.image), seed).probabilities(0.3)
            expected = confidence_levels(shares, temperature=MEAN_FIELD_TEMPERATURE)
        else:
            expected = confidence_levels(probabilities(seed_scores(seed.upsampled(), 0.3), temperature=0.1))
        assert np.array_equal(levels_of(run, sample.id), expected)
        mask = read_mask(run.path / "masks" / f"{sample.id}.png")
        if refine == "none":
            assert np.array_equal(mask, seed.label(0.3))
    assert len(ids(run)) == IMAGES


@pytest.mark.parametrize(("refine", "threshold"), [("crf", 0.9), ("none", 0.7), ("none", 180 / 255), ("none", 1.0)])
def test_ignoring_below_is_masking_with_the_stored_confidence(run, refine, threshold):
    plain = make(run, refine=refine)
    masks = {image: read_mask(run.path / "masks" / f"{image}.png") for image in ids(run)}
    before = files_of(run, "confidence")

    result = make(run, refine=refine, ignore_below=threshold, overwrite=True)

    assert plain.undecided == 0.0
    left_out = np.stack([unsure(levels_of(run, image), threshold) for image in masks])
    expected = np.where(left_out, IGNORE, np.stack(list(masks.values())))
    assert left_out.mean() > 0
    assert np.array_equal(np.stack([read_mask(run.path / "masks" / f"{i}.png") for i in masks]), expected)
    now = files_of(run, "confidence")
    assert {n: d for n, d in now.items() if n.endswith(".png")} == {
        n: d for n, d in before.items() if n.endswith(".png")
    }
    assert result.undecided == pytest.approx(left_out.mean())
    assert result.background == pytest.approx((expected == 0).mean())
    metrics = Run.open(run.path).require("make-masks").metrics
    assert metrics["undecided"] == round(result.undecided, 6)
    assert metrics["lost_classes"] == result.lost_classes


def test_ignoring_all_but_the_surest_loses_the_classes_without_a_sure_pixel(run):
    reporter = SilentReporter()
    result = make_masks.run(settings_of(run, refine="none", ignore_below=1.0), run, reporter)

    assert "choose a lower --ignore-below" in reporter.warnings[0]
    assert (result.undecided, result.background, result.object_confidence) == (1.0, 0.0, None)
    samples = open_dataset(settings_of(run).settings, "train")
    assert result.lost_classes == sum(len(sample.labels) for sample in samples)


def test_the_index_and_the_manifest_hold_the_means_of_the_stored_files(run):
    result = make(run, ignore_below=0.8)

    with (run.path / "confidence" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ids(run)
    kept, everything = [], []
    for row in rows:
        mask, levels = read_mask(run.path / "masks" / f"{row['image']}.png"), levels_of(run, row["image"]) / 255
        objects = levels[(mask > 0) & (mask < IGNORE)]
        assert float(row["confidence"]) == pytest.approx(levels.mean(), abs=1e-6)
        assert float(row["undecided"]) == pytest.approx((mask == IGNORE).mean(), abs=1e-6)
        if objects.size:
            assert float(row["object_confidence"]) == pytest.approx(objects.mean(), abs=1e-6)
        else:
            assert row["object_confidence"] == ""
        kept.append(objects)
        everything.append(levels)
    entry = Run.open(run.path).require("make-masks")
    assert entry.metrics["confidence"] == result.confidence == pytest.approx(np.stack(everything).mean(), abs=1e-6)
    assert entry.metrics["object_confidence"] == pytest.approx(np.concatenate(kept).mean(), abs=1e-6)
    assert entry.outputs["confidence"].count == IMAGES
    assert entry.outputs["index.csv"].path == "confidence/index.csv"


def test_worker_processes_and_a_resume_make_the_same_bytes(run):
    make(run)
    alone = files_of(run)
    mark = Run.open(run.path).require("make-masks").fingerprint
    for path in (*(run.path / "masks").glob("*.png"), *(run.path / "confidence").glob("[!.]*")):
        path.unlink()

    make(run, workers=2)

    assert files_of(run) == alone
    for name in ("masks/img_001.png", "confidence/img_002.png", "confidence/index.csv"):
        (run.path / name).unlink()
    result = make(run)
    assert (result.made, result.kept) == (2, IMAGES - 2)
    assert files_of(run) == alone
    assert Run.open(run.path).require("make-masks").fingerprint == mark


def test_a_kill_between_the_two_files_leaves_the_image_to_be_made(run, monkeypatch):
    make(run)
    whole = files_of(run)
    for path in (run.path / "masks").glob("img_00[23].png"):
        path.unlink()
    for path in (run.path / "confidence").glob("[!.]*"):
        if path.name != "img_000.png" and path.name != "img_001.png":
            path.unlink()

    take_place = files._take_place

    def killed(temporary, path):
        if path == run.path / "masks" / "img_002.png":
            raise SystemExit
        take_place(temporary, path)

    monkeypatch.setattr(files, "_take_place", killed)
    with pytest.raises(SystemExit):
        make(run)
    assert (run.path / "confidence" / "img_002.png").is_file()
    assert not (run.path / "masks" / "img_002.png").exists()
    assert not (run.path / "confidence" / "index.csv").exists()
    monkeypatch.undo()

    result = make(run)

    assert result.made + result.kept == 4
    assert result.made >= 1
    assert files_of(run) == whole


def test_overwriting_moves_masks_and_their_confidence_together(run):
    make(run)
    old = files_of(run)
    with pytest.raises(RunError, match=r"ignore_below 0\.0 → 0\.9"):
        make(run, ignore_below=0.9)

    result = make(run, ignore_below=0.9, overwrite=True)

    aside = result.moved.with_name(result.moved.name.replace("masks", "confidence"))
    moved = {f"masks/{p.name}": p.read_bytes() for p in result.moved.glob("[!.]*")}
    moved |= {f"confidence/{p.name}": p.read_bytes() for p in aside.glob("[!.]*")}
    assert moved == old


def test_a_damaged_confidence_of_a_kept_mask_names_the_remedy(run):
    make(run)
    (run.path / "confidence" / "img_001.png").write_bytes(b"torn")
    (run.path / "confidence" / ".png.sha256").unlink()  # by which it would be known as changed, and made anew

    with pytest.raises(DataError, match=r"confidence/img_001\.png: .*Delete it and run: recam make-masks"):
        make(run)


def test_the_plain_cams_confidence_has_its_own_folder(run):
    assert len(list((run.path / "confidence-cam").glob("*.png"))) == IMAGES
    assert (run.path / "confidence-cam" / "index.csv").is_file()


def test_masks_are_scored_by_confidence_and_threshold_0_is_the_plain_score(run):
    make(run)
    plain, _ = score(run)
    assert plain.files[-1].name == "masks-train-coverage.csv"
    found = plain.as_dict()
    first = found["coverage"][0]
    assert [point["threshold"] for point in found["coverage"]] == list(CONFIDENCES)
    assert (first["coverage"], first["miou"]) == (100.0, found["miou"])

    (run.path / "confidence" / "img_001.png").unlink()
    partly, reporter = score(run)
    assert "no figures by confidence: 1 masks have none, img_001 for one" in reporter.warnings[0]
    for path in (run.path / "confidence").glob("*.png"):
        path.unlink()
    without, reporter = score(run)

    assert reporter.warnings == []
    assert partly.as_dict() == without.as_dict() == found | {"coverage": None}
    assert [path.name for path in without.files] == ["masks-train.json", "masks-train.csv", "masks-train-confusion.csv"]


@pytest.mark.parametrize("ignored", ["background", "unlabelled"])
def test_masks_with_pixels_left_out_are_scored_as_the_plain_evaluation_reads_255(run, ignored):
    make(run, refine="none", ignore_below=0.7)
    scored, _ = score(run, ignored=ignored)
    for path in (run.path / "confidence").glob("*.png"):
        path.unlink()

    plain, _ = score(run, ignored=ignored)

    assert scored.as_dict() == plain.as_dict() | {"coverage": scored.as_dict()["coverage"]}
    assert scored.as_dict()["coverage"][0]["miou"] == plain.miou


def test_the_command_line_says_how_much_is_undecided_and_shows_the_curve(run):
    common = ("--run", run.path, "--quiet")
    flags = ("--refine", "none", "--ignore-below", "0.7", "--workers", "0", *common)
    outcome = call("make-masks", "--json", *flags)
    assert outcome.code == 0, outcome.err
    assert 0 < outcome.json["undecided"] < 1
    assert 0 < outcome.json["confidence"] <= 1
    assert f"{100 * outcome.json['undecided']:.1f} % undecided" in call("make-masks", *flags).out

    scored = call("evaluate", "--of", "masks", "--json", *common)
    assert scored.code == 0, scored.err
    assert [point["threshold"] for point in scored.json["coverage"]][-1] == 0.99


def test_a_confidence_past_1_is_refused(run):
    with pytest.raises(UsageError, match=r"--ignore-below: 1\.5 is above the largest"):
        settings_of(run, ignore_below=1.5)
