from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from types import ModuleType

import numpy as np
import pytest
import torch

from recam_cli.core import hardware
from recam_cli.core.cams.store import Seed, write_seed
from recam_cli.core.data.custom import open_custom
from recam_cli.core.data.images import read_image, read_mask, write_image
from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.data.registry import open_dataset
from recam_cli.core.errors import DataError, RecamError, RunError, UsageError
from recam_cli.core.masks import crf
from recam_cli.core.masks.refine import refine_seed
from recam_cli.core.masks.stability import most_stable
from recam_cli.core.masks.stability_job import StabilityJob
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.settings.resolve import resolve
from recam_cli.stages import make_masks
from recam_cli.stages.mask_work import crf_device, parse_threshold
from tests.helpers.tiny_data import TINY_SIZE, draw_photo, make_custom, tiny_labels

IMAGES = 4


@dataclass(frozen=True)
class FakeChoice:
    value: float
    how: str


@pytest.fixture
def data(tmp_path):
    return make_custom(tmp_path / "data", IMAGES, splits={"train": range(IMAGES)})


@pytest.fixture
def run(tmp_path, data):
    """A run with seeds of all images: the true masks, made coarse and blurred."""
    run = Run.create(tmp_path / "run")
    for stage in ("train-cls", "make-seeds", "make-seeds-cam"):
        entry = StageEntry(state="done", settings={"method": "recam"}, fingerprint=f"of {stage}")
        run.manifest.stages[stage] = entry
    run.manifest.save(run.path)
    for folder, peak in (("seeds", 1.0), ("seeds-cam", 0.8)):
        for i, labels in enumerate(tiny_labels(IMAGES)):
            write_seed(run.path / folder / f"img_{i:03d}.npz", coarse_seed(i, labels, peak))
    return run


def coarse_seed(number, labels, peak):
    _, truth = draw_photo(labels, size=TINY_SIZE, seed=number)
    height, width = -(-TINY_SIZE[0] // 4), -(-TINY_SIZE[1] // 4)
    cells = [(truth == k + 1).reshape(height, 4, width, 4).mean(axis=(1, 3)) for k in labels]
    return Seed(np.array(labels), (peak * np.array(cells, np.float32)), TINY_SIZE)


def settings_of(data, **flags):
    common = {"dataset": "custom", "data_root": str(data), "threshold": "0.3", "workers": 0, "refine": "crf"}
    return resolve(MakeMasksSettings, flags=common | flags)


def make(run, data, **flags):
    return make_masks.run(settings_of(data, **flags), run, SilentReporter())


def masks_in(folder):
    return {p.stem: read_mask(p) for p in sorted(folder.glob("*.png"))}


def test_every_image_gets_the_mask_that_refining_its_seed_gives(run, data):
    result = make(run, data)

    masks = masks_in(run.path / "masks")
    images = open_dataset(settings_of(data).settings, "train")
    assert list(masks) == [s.id for s in images]
    for i, sample in enumerate(images):
        seed = coarse_seed(i, sample.labels, 1.0)
        assert np.array_equal(masks[sample.id], refine_seed(read_image(sample.image), seed, 0.3))
        assert set(np.unique(masks[sample.id])) <= {0, *(k + 1 for k in sample.labels)}
    assert (result.images, result.made, result.kept) == (IMAGES, IMAGES, 0)


def test_the_masks_are_close_to_the_truth(run, data):
    make(run, data)

    for sample in open_dataset(settings_of(data).settings, "train"):
        truth = read_mask(sample.mask)
        mask = read_mask(run.path / "masks" / f"{sample.id}.png")
        assert (mask == truth)[truth != 255].mean() > 0.95


def test_worker_processes_make_the_same_bytes(run, data, tmp_path):
    make(run, data)
    alone = {p.name: p.read_bytes() for p in (run.path / "masks").glob("*.png")}
    (run.path / "masks").rename(tmp_path / "alone")

    make(run, data, workers=2)

    assert {p.name: p.read_bytes() for p in (run.path / "masks").glob("*.png")} == alone


def test_a_gpu_refines_in_this_process_and_makes_the_same_masks(run, data, tmp_path, monkeypatch):
    make(run, data, crf="native")
    on_cpu = {p.name: p.read_bytes() for p in (run.path / "masks").glob("*.png")}
    (run.path / "masks").rename(tmp_path / "on_cpu")
    monkeypatch.setattr(hardware, "choose_device", lambda name: torch.device("cuda", 1))
    asked = []

    def in_torch(image, labels, parameters, device):
        asked.append(device)
        return crf.BACKENDS["torch"](image, labels, parameters, "cpu")

    monkeypatch.setattr(crf, "_torch", in_torch)

    make(run, data, crf="native", workers=2)

    assert set(asked) == {"cuda:1"}
    assert len(asked) == IMAGES + 1  # and the check before
    assert {p.name: p.read_bytes() for p in (run.path / "masks").glob("*.png")} == on_cpu
    entry = Run.open(run.path).require("make-masks")
    assert entry.notes["crf"] == "native on cuda:1"
    assert entry.device == "cuda:1"
    assert entry.settings["crf"] == "native"


@pytest.mark.parametrize(
    ("wish", "device", "found"),
    [
        ({"crf": "native"}, "cuda", "cuda"),
        ({"crf": "native"}, "mps", "cpu"),
        ({"crf": "native"}, "cpu", "cpu"),
        ({"crf": "pydensecrf"}, "cuda", "cpu"),
        ({"crf": "native", "refine": "none"}, "cuda", "cpu"),
    ],
)
def test_only_the_native_crf_on_cuda_leaves_the_cpu(data, wish, device, found, monkeypatch):
    monkeypatch.setattr(hardware, "choose_device", lambda name: torch.device(device))

    assert crf_device(settings_of(data, **wish).settings) == found


def test_without_refining_the_mask_is_the_seed_at_the_threshold(run, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "recam_cli.core.masks.native_crf", None)

    make(run, data, refine="none")

    masks = masks_in(run.path / "masks")
    for i, labels in enumerate(tiny_labels(IMAGES)):
        assert np.array_equal(masks[f"img_{i:03d}"], coarse_seed(i, labels, 1.0).label(0.3))


def test_a_missing_library_is_told_before_anything_is_touched(run, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "recam_cli.core.masks.native_crf", None)

    with pytest.raises(UsageError, match="--refine none"):
        make(run, data)

    assert not (run.path / "masks").exists()
    assert "make-masks" not in Run.open(run.path).manifest.stages


def test_the_manifest_says_what_was_done(run, data):
    result = make(run, data)

    entry = Run.open(run.path).require("make-masks")
    assert entry.notes == {
        "threshold": 0.3,
        "threshold_chosen": "given",
        "how": "given as --threshold",
        "crf": "native on cpu",
    }
    assert entry.outputs["masks"].count == IMAGES
    assert entry.inputs == {
        "make-seeds": "of make-seeds",
        "seeds": run.output_of_folder(run.path / "seeds", "*.npz").sha256,
    }
    pixels = np.stack(list(masks_in(run.path / "masks").values()))
    assert entry.metrics["background"] == pytest.approx((pixels == 0).mean(), abs=1e-6)
    assert entry.metrics["lost_classes"] == 0
    plain = result.as_dict()
    assert plain["folder"] == str(run.path / "masks")
    assert plain["moved"] is None
    assert plain["threshold_chosen"] == "given"


def test_of_masks_that_are_only_cut_an_automatic_threshold_sees_all_seeds_and_is_told_label_free(
    run, data, monkeypatch
):
    seen = []

    def choose_threshold(seeds):
        seen.extend(seeds)
        return FakeChoice(0.42, "halfway")

    module = ModuleType("recam_cli.core.masks.threshold")
    module.choose_threshold = choose_threshold
    monkeypatch.setitem(sys.modules, module.__name__, module)

    result = make(run, data, threshold="auto", refine="none")

    assert len(seen) == IMAGES
    assert (result.threshold, result.threshold_chosen, result.how) == (0.42, "label-free", "halfway")
    notes = Run.open(run.path).require("make-masks").notes
    assert notes["threshold_chosen"] == "label-free"
    assert notes["label_free_threshold"] == notes["threshold"] == 0.42


def test_of_masks_that_are_refined_an_automatic_threshold_is_the_one_of_the_most_stable_masks(run, data):
    result = make(run, data, threshold="auto")

    compare = StabilityJob(run.path / "seeds", MAX_PIXELS)
    best = most_stable([compare(sample) for sample in open_dataset(settings_of(data).settings, "train")])
    assert (result.threshold, result.threshold_chosen) == (best.threshold, "label-free")
    assert "without ground truth" in result.how
    masks = masks_in(run.path / "masks")
    assert masks and all(
        np.array_equal(masks[s.id], refine_seed(read_image(s.image), coarse_seed(i, s.labels, 1.0), best.threshold))
        for i, s in enumerate(open_dataset(settings_of(data).settings, "train"))
    )


def test_a_second_call_keeps_what_is_there_and_makes_what_is_missing(run, data):
    first = make(run, data)
    before = masks_in(run.path / "masks")
    path = run.path / "masks" / "img_001.png"
    kept = run.path / "masks" / "img_000.png"
    stamp = kept.stat().st_mtime_ns
    path.unlink()

    second = make(run, data, threshold="0.30", method="recam")

    assert (second.made, second.kept) == (1, IMAGES - 1)
    assert kept.stat().st_mtime_ns == stamp
    after = masks_in(run.path / "masks")
    assert all(np.array_equal(after[i], before[i]) for i in before)
    assert second.background == first.background
    assert Run.open(run.path).require("make-masks").state == "done"


def test_masks_of_other_settings_are_refused_and_their_record_kept(run, data):
    make(run, data)
    before = Run.open(run.path).require("make-masks")

    with pytest.raises(RunError, match=r"unary hard → soft, threshold 0\.3 → 0\.5.*--overwrite"):
        make(run, data, threshold="0.5", unary="soft")

    assert Run.open(run.path).require("make-masks") == before


def test_overwrite_moves_masks_of_other_settings_aside(run, data):
    make(run, data)
    old = {p.name: p.read_bytes() for p in (run.path / "masks").glob("*.png")}

    result = make(run, data, threshold="0.5", overwrite=True)

    assert result.moved == run.path / "masks.old-1"
    assert result.made == IMAGES
    assert {p.name: p.read_bytes() for p in result.moved.glob("*.png")} == old


def test_masks_of_other_seeds_are_refused(run, data):
    make(run, data)
    run = Run.open(run.path)
    run.manifest.stages["make-seeds"].fingerprint = "new"
    run.manifest.save(run.path)

    with pytest.raises(RunError, match="make-seeds of make-seeds → new"):
        make(run, data)


def test_workers_may_change_between_calls(run, data):
    make(run, data)

    assert make(run, data, workers=1).kept == IMAGES


def test_the_plain_cam_of_a_recam_run_has_its_own_folder_and_entry(run, data):
    make(run, data, refine="none")
    make(run, data, refine="none", method="cam")

    assert len(masks_in(run.path / "masks-cam")) == IMAGES
    manifest = Run.open(run.path).manifest
    assert manifest.stages["make-masks-cam"].inputs["make-seeds-cam"] == "of make-seeds-cam"
    assert manifest.stages["make-masks"].inputs["make-seeds"] == "of make-seeds"
    assert masks_in(run.path / "masks").keys() == masks_in(run.path / "masks-cam").keys()


def test_a_run_without_seeds_names_the_command(run, data):
    del run.manifest.stages["make-seeds"], run.manifest.stages["make-seeds-cam"]

    with pytest.raises(RunError, match=r"Run: recam make-seeds --run"):
        make(run, data)
    with pytest.raises(RunError, match=r"Run: recam make-seeds --method cam --run"):
        make(run, data, method="cam")


def test_a_missing_seed_names_the_image_and_the_command(run, data):
    (run.path / "seeds" / "img_003.npz").unlink()

    with pytest.raises(RunError, match=r"no seed of image img_003 of split train\. Run: recam make-seeds --run"):
        make(run, data)

    assert "make-masks" not in Run.open(run.path).manifest.stages


def test_a_damaged_seed_is_told_before_any_work_and_what_was_made_stays(run, data):
    make(run, data)
    before, seed = masks_in(run.path / "masks"), run.path / "seeds" / "img_003.npz"
    whole = seed.read_bytes()
    seed.write_bytes(b"not a zip file")

    with pytest.raises(DataError, match=r"img_003\.npz: damaged seed"):
        make(run, data, overwrite=True)

    assert masks_in(run.path / "masks").keys() == before.keys()
    assert Run.open(run.path).entry("make-masks") is not None
    seed.write_bytes(whole)
    result = make(run, data)
    assert (result.made, result.kept) == (0, IMAGES)


def test_seeds_of_other_content_are_other_seeds(run, data):
    make(run, data)
    write_seed(run.path / "seeds" / "img_003.npz", coarse_seed(3, tiny_labels(IMAGES)[3], 0.5))
    with pytest.raises(RunError, match=r"masks holds masks made with other settings: seeds \w+ → \w+"):
        make(run, data)


def test_photographs_changed_since_the_seeds_were_made_are_refused(run, data):
    run.manifest.stages["make-seeds"].settings["split"] = "train"
    run.manifest.stages["make-seeds"].inputs["data"] = open_custom(data, "train").fingerprint()
    run.manifest.save(run.path)
    make(run, data)
    photo = data / "JPEGImages" / "img_001.jpg"
    changed = bytearray(photo.read_bytes())
    changed[-9] ^= 1
    photo.write_bytes(changed)
    with pytest.raises(RunError, match="photographs or labels have changed since the seeds were made"):
        make(run, data)


def test_a_photograph_of_another_size_than_its_seed_is_refused_by_id(run, data):
    write_image(data / "JPEGImages" / "img_002.jpg", np.zeros((8, 8, 3), np.uint8))

    with pytest.raises(DataError, match=r"^img_002: image of 8×8 pixels"):
        make(run, data)


def test_a_seed_of_unlabelled_classes_is_refused_by_id(run, data):
    labels = tiny_labels(IMAGES)[0]
    seed = coarse_seed(0, labels, 1.0)
    write_seed(run.path / "seeds" / "img_000.npz", replace(seed, classes=seed.classes + 1))

    with pytest.raises(DataError, match=r"^img_000: its seed maps class id 1, which"):
        make(run, data)


def test_seeds_of_other_classes_or_another_order_are_refused(run, data):
    run.manifest.stages["train-cls"].notes["classes"] = ["dog", "cat", "bus"]
    run.manifest.save(run.path)
    with pytest.raises(RunError, match="class 1 as"):
        make(run, data)
    assert not (run.path / "masks").exists()


def test_classes_without_a_pixel_are_counted(run, data):
    result = make(run, data, refine="none", threshold="1")

    assert result.background == 1.0
    assert result.lost_classes == sum(map(len, tiny_labels(IMAGES)))


@pytest.mark.parametrize("text", ["half", "", "1.01", "-0.1", "nan", "inf"])
def test_a_threshold_that_is_none_is_refused(run, data, text):
    with pytest.raises(UsageError, match=r"--threshold: .* is neither auto nor a number from 0 to 1"):
        make(run, data, threshold=text)


@pytest.mark.parametrize(("text", "value"), [("auto", None), (" AUTO ", None), ("0", 0.0), ("1e-1", 0.1), ("1", 1.0)])
def test_thresholds_are_read_as_written(text, value):
    assert parse_threshold(text) == value


def test_the_settings_default_to_the_published_row():
    from recam_cli.core.masks.crf import IRN
    from recam_cli.core.masks.job import refinement_of
    from recam_cli.core.masks.refine import PUBLISHED

    assert refinement_of(MakeMasksSettings()) == PUBLISHED
    assert asdict(PUBLISHED.parameters) == asdict(IRN)
    with pytest.raises(RecamError):
        resolve(MakeMasksSettings, flags={"crf_bilateral_sxy": 0})
