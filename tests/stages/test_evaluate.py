"""`evaluate` over a hand-made run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recam_cli.core.data.images import write_mask
from recam_cli.core.data.samples import IGNORE
from recam_cli.core.errors import DataError, RecamError, RunError, UsageError
from recam_cli.core.metrics.confusion import ConfusionMatrix
from recam_cli.core.metrics.table import rows_of
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.manifest import Manifest, StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.stages import evaluate
from tests.helpers.scoring import CLASSES, NUM_VALUES, scored_set, settings, write_predictions, write_seeds


class Bench:
    """A run of an opened image set, with its true masks by id."""

    def __init__(self, tmp_path, monkeypatch):
        self.images, self.truths = scored_set(tmp_path / "data")
        self.run = Run.create(tmp_path / "run")
        self.reporter = SilentReporter()
        self.splits = []
        monkeypatch.setattr(evaluate, "_open_images", self.open)

    def open(self, _, split):
        self.splits.append(split)
        return type(self.images)("custom", self.images.root, split, CLASSES, self.images.samples)

    def record(self, stage, **values):
        self.run.manifest.stages[stage] = StageEntry(state="done", **values)
        self.run.manifest.save(self.run.path)

    def evaluate(self, **flags):
        return evaluate.run(settings(**flags), self.run, self.reporter)

    def miou(self, predictions):
        matrix = ConfusionMatrix(NUM_VALUES)
        for name, truth in self.truths.items():
            matrix.update(truth, predictions[name])
        return round(100 * matrix.scores().miou, 2)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


@pytest.fixture
def seeded(bench):
    bench.seeds = write_seeds(bench.run.path / "seeds", bench.images, bench.truths)
    return bench


def labels(bench, threshold):
    return {name: seed.label(threshold) for name, seed in bench.seeds.items()}


def test_swept_seeds_report_the_best_of_the_curve_marked_as_such(seeded):
    found = seeded.evaluate(thresholds=10).as_dict()
    assert found["of"] == "seeds" and found["split"] == "train" and found["images"] == 3
    expected = [[i / 10, seeded.miou(labels(seeded, i / 10))] for i in range(10)]
    assert found["curve"] == expected
    assert found["miou"] == max(miou for _, miou in expected)
    assert found["threshold_chosen"] == "swept with ground truth"
    assert found["best"] == {
        "threshold": found["threshold"],
        "miou": found["miou"],
        "chosen": "swept with ground truth",
    }
    assert found["label_free"] is None


def test_a_given_threshold_off_the_curve_is_scored_exactly(seeded):
    found = seeded.evaluate(threshold="0.123", thresholds=10).as_dict()
    assert found["threshold"] == 0.123 and found["threshold_chosen"] == "given"
    assert found["miou"] == seeded.miou(labels(seeded, 0.123))
    assert len(found["curve"]) == 10


def test_the_runs_label_free_threshold_is_scored_beside_the_swept_one(seeded):
    seeded.record("make-masks", notes={"threshold": 0.317, "threshold_chosen": "label-free"})
    swept = seeded.evaluate().as_dict()
    expected = {"threshold": 0.317, "miou": seeded.miou(labels(seeded, 0.317)), "chosen": "label-free"}
    assert swept["label_free"] == expected
    assert swept["threshold_chosen"] == "swept with ground truth"
    auto = seeded.evaluate(threshold="auto").as_dict()
    assert (auto["threshold"], auto["miou"], auto["threshold_chosen"]) == (
        0.317,
        expected["miou"],
        "label-free",
    )


def test_auto_without_a_label_free_threshold_names_the_command(seeded):
    seeded.record("make-masks", notes={"threshold": 0.4, "threshold_chosen": "given"})
    assert seeded.evaluate().label_free is None
    with pytest.raises(RunError, match="make-masks --threshold auto"):
        seeded.evaluate(threshold="auto")


def test_masks_are_scored_with_255_as_background_and_say_how_their_threshold_was_chosen(bench):
    predictions = write_predictions(bench.run.path / "masks", bench.truths)
    bench.record("make-masks", notes={"threshold": 0.3, "threshold_chosen": "label-free"}, fingerprint="abc")
    found = bench.evaluate(of="masks").as_dict()
    assert any((p == IGNORE).any() for p in predictions.values())
    assert found["miou"] == bench.miou({n: np.where(p == IGNORE, 0, p) for n, p in predictions.items()})
    assert (found["threshold"], found["threshold_chosen"], found["curve"]) == (0.3, "label-free", None)
    entry = Manifest.load(bench.run.path).stages["evaluate-masks-train"]
    assert entry.inputs == {"make-masks": "abc"}
    assert bench.evaluate(of="masks", ignored="unlabelled").miou != found["miou"]


def test_segmentation_is_scored_on_val_by_default(bench):
    write_predictions(bench.run.path / "predictions" / "val", bench.truths, wrong=0.0)
    found = bench.evaluate(of="segmentation")
    assert bench.splits == ["val"] and found.split == "val"
    # a mask predicted like its truth is right wherever the truth counts
    assert found.miou == 100.0


def test_absent_classes_are_null_by_name(seeded):
    found = seeded.evaluate().as_dict()
    assert list(found["per_class"]) == ["background", *CLASSES]
    for part in ("per_class", "precision", "recall"):
        assert found[part]["tree"] is None
    assert found["errors"]["per_class"]["tree"] is None
    assert found["per_class"]["dog"] is not None


def test_files_manifest_and_log_hold_the_figures(seeded):
    result = seeded.evaluate()
    names = ["seeds-train.json", "seeds-train.csv", "seeds-train-confusion.csv"]
    assert [path.name for path in result.files] == names
    assert all(path.parent == seeded.run.path / "evaluation" for path in result.files)
    assert json.loads(result.files[0].read_text()) == result.as_dict()
    assert "'=cow," in result.files[1].read_text()
    entry = Manifest.load(seeded.run.path).stages["evaluate-seeds-train"]
    assert entry.state == "done" and entry.metrics["miou"] == result.miou
    assert sorted(entry.outputs) == sorted(names)
    (line,) = (seeded.run.path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["miou"] == result.miou
    assert json.loads(line)["stage"] == "evaluate-seeds-train"


def test_results_go_to_out_when_given(seeded, tmp_path):
    result = seeded.evaluate(out=tmp_path / "elsewhere")
    assert result.files[0] == tmp_path / "elsewhere" / "seeds-train.json"
    assert not (seeded.run.path / "evaluation").exists()


def test_own_files_in_the_folder_named_stay_and_earlier_results_are_replaced(seeded, tmp_path):
    seeded.evaluate(out=tmp_path / "mine", threshold="0.1")
    assert seeded.evaluate(out=tmp_path / "mine", threshold="0.4").files[0].parent == tmp_path / "mine"
    table = tmp_path / "mine" / "seeds-train-confusion.csv"
    table.write_text("mine")
    before = {path: path.read_bytes() for path in table.parent.iterdir()}
    entry = Manifest.load(seeded.run.path).stages["evaluate-seeds-train"]
    with pytest.raises(UsageError, match=r"seeds-train-confusion\.csv holds something other than what recam wrote"):
        seeded.evaluate(out=tmp_path / "mine", threshold="0.2")
    assert {path: path.read_bytes() for path in table.parent.iterdir()} == before
    assert Manifest.load(seeded.run.path).stages["evaluate-seeds-train"] == entry


def test_the_plain_cam_of_a_recam_run_lies_beside_and_is_named_so(bench):
    bench.record("train-cls", settings={"method": "recam"})
    bench.seeds = write_seeds(bench.run.path / "seeds-cam", bench.images, bench.truths)
    result = bench.evaluate(method="cam", threshold="0.4")
    assert result.miou == bench.miou(labels(bench, 0.4))
    assert result.variant == "cam"
    assert result.files[0].name == "seeds-cam-train.json"
    assert "evaluate-seeds-cam-train" in Manifest.load(bench.run.path).stages


def test_the_cam_of_a_plain_cam_run_is_its_own(seeded):
    seeded.record("train-cls", settings={"method": "cam"})
    assert seeded.evaluate(method="cam").as_dict() == seeded.evaluate().as_dict()
    with pytest.raises(RunError, match="has no ReCAM"):
        seeded.evaluate(method="recam")


@pytest.mark.parametrize(
    ("flags", "folder", "message"),
    [
        ({}, "seeds", r"seeds has no seed of image img1 of split train\. Run: recam make-seeds --run"),
        ({"of": "masks"}, "masks", r"no mask of image img1 .* Run: recam make-masks --run"),
        ({"of": "masks", "method": "cam"}, "masks-cam", r"Run: recam make-masks --method cam --run"),
        ({"of": "segmentation"}, "predictions/val", r"no prediction of image img1 .* Run: recam train-seg"),
    ],
)
def test_a_missing_file_names_its_image_and_the_command(bench, flags, folder, message):
    bench.record("train-cls", settings={"method": "recam"})
    write = write_seeds if folder == "seeds" else lambda f, _, t: write_predictions(f, t)
    write(bench.run.path / folder, bench.images, bench.truths)
    for path in (bench.run.path / folder).glob("img1.*"):
        path.unlink()
    with pytest.raises(RunError, match=message):
        bench.evaluate(**flags)


def test_all_missing_files_are_counted(bench):
    with pytest.raises(RunError, match="img0 and 2 more of split train"):
        bench.evaluate()
    assert not any(name.startswith("evaluate") for name in Manifest.load(bench.run.path).stages)


def test_a_mask_of_another_size_is_named_and_the_evaluation_recorded_as_failed(bench):
    write_predictions(bench.run.path / "masks", bench.truths)
    write_mask(bench.run.path / "masks" / "img2.png", np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match=r"masks/img2\.png: 3×3 pixels"):
        bench.evaluate(of="masks")
    assert Manifest.load(bench.run.path).stages["evaluate-masks-train"].state == "failed"
    assert not (bench.run.path / "evaluation").exists()


def test_a_damaged_seed_is_named(seeded):
    (seeded.run.path / "seeds" / "img1.npz").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"img1\.npz: damaged seed"):
        seeded.evaluate()


def test_images_without_true_masks_are_refused(seeded):
    samples = tuple(type(s)(s.id, s.image, s.labels) for s in seeded.images)
    seeded.images = type(seeded.images)("custom", seeded.images.root, "train", CLASSES, samples)
    with pytest.raises(DataError, match="has no true mask"):
        seeded.evaluate()


def test_an_empty_split_is_refused(seeded):
    seeded.images = type(seeded.images)("custom", seeded.images.root, "train", CLASSES, ())
    with pytest.raises(DataError, match="has no images"):
        seeded.evaluate()


def test_truth_that_is_ignored_everywhere_is_refused(seeded):
    for sample in seeded.images:
        write_mask(sample.mask, np.full(seeded.truths[sample.id].shape, IGNORE, np.uint8))
    with pytest.raises(DataError, match="no pixel to score"):
        seeded.evaluate()


def test_evaluating_again_gives_the_same_file(seeded):
    first = seeded.evaluate().files[0].read_bytes()
    assert seeded.evaluate().files[0].read_bytes() == first


def test_two_folders_need_no_run_and_count_classes_by_number(bench, tmp_path):
    predictions = write_predictions(tmp_path / "pred", bench.truths)
    flags = {"pred_dir": tmp_path / "pred", "truth_dir": tmp_path / "data" / "truth"}
    result = evaluate.run(settings(**flags), None, bench.reporter)
    assert result.of == "folders" and result.split is None and result.files == ()
    assert result.names == ("background", "1", "2", "3")
    assert result.miou == bench.miou({n: np.where(p == IGNORE, 0, p) for n, p in predictions.items()})
    assert len(rows_of(result).rows) == 5
    json.dumps(result.as_dict(), allow_nan=False)


def test_two_folders_with_class_names_are_written_where_asked(bench, tmp_path):
    write_predictions(tmp_path / "pred", bench.truths | {"more": bench.truths["img0"]})
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    flags = {
        "pred_dir": tmp_path / "pred",
        "truth_dir": tmp_path / "data" / "truth",
        "classes": tmp_path / "classes.txt",
        "out": tmp_path / "out",
    }
    result = evaluate.run(settings(**flags), None, bench.reporter)
    assert result.names == ("background", *CLASSES)
    assert [p.name for p in result.files] == ["folders.json", "folders.csv", "folders-confusion.csv"]
    assert "1 PNGs are not scored" in bench.reporter.warnings[0]
    assert evaluate.run(settings(**flags), None, bench.reporter).files == result.files
    result.files[1].write_text("mine")
    with pytest.raises(UsageError, match=r"folders\.csv holds something other"):
        evaluate.run(settings(**flags), None, bench.reporter)
    assert result.files[1].read_text() == "mine"


def test_too_few_class_names_for_the_masks_are_refused(bench, tmp_path):
    write_predictions(tmp_path / "pred", bench.truths, wrong=0.0)
    (tmp_path / "classes.txt").write_text("cow\n")
    flags = {
        "pred_dir": tmp_path / "pred",
        "truth_dir": tmp_path / "data" / "truth",
        "classes": tmp_path / "classes.txt",
    }
    with pytest.raises(DataError, match="the classes end at 1"):
        evaluate.run(settings(**flags), None, bench.reporter)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"pred_dir": "a"}, "go together"),
        ({"truth_dir": "a"}, "go together"),
        ({"classes": "a"}, "--classes goes with --pred-dir"),
        ({"id_list": "a"}, "--id-list goes with --pred-dir"),
        ({"pred_dir": "a", "truth_dir": "b", "of": "masks"}, "--of goes with a run"),
        ({"pred_dir": "a", "truth_dir": "b", "split": "val"}, "--split goes with a run"),
        ({"of": "masks", "threshold": "0.2"}, "thresholds are those of seeds"),
        ({"of": "masks", "method": "truth"}, "--method truth names predictions"),
        ({"threshold": "best"}, "neither sweep, auto nor a number"),
        ({"threshold": "1.5"}, "neither sweep, auto nor a number"),
        ({"threshold": "nan"}, "neither sweep, auto nor a number"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(bench, flags, message):
    with pytest.raises(UsageError, match=message):
        bench.evaluate(**flags)


def test_without_run_and_folders_it_says_what_to_name():
    with pytest.raises(RunError, match="--run"):
        evaluate.run(settings(), None, SilentReporter())


def test_every_refusal_is_one_line(bench):
    with pytest.raises(RecamError) as caught:
        bench.evaluate()
    assert "\n" not in str(caught.value)


def test_masks_of_other_classes_are_not_scored_under_the_names_of_now(bench):
    write_predictions(bench.run.path / "masks", bench.truths)
    bench.record("train-cls", notes={"classes": list(reversed(CLASSES))})
    with pytest.raises(RunError, match="class 1 as"):
        bench.evaluate(of="masks")


def test_files_an_unfinished_stage_left_are_scored_with_a_warning(bench):
    write_predictions(bench.run.path / "masks", bench.truths)
    bench.run.manifest.stages["make-masks"] = StageEntry(state="interrupted")
    bench.run.manifest.save(bench.run.path)
    assert bench.evaluate(of="masks").images == 3
    assert any("has not finished (interrupted)" in warning for warning in bench.reporter.warnings)
