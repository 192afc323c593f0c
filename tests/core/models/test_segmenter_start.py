from __future__ import annotations

import pytest
import torch

from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.checkpoint import save_model
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.classifier_files import classifier_path, save_classifier
from recam_cli.core.models.segmenter_start import find_start, resolve_backbone, start_backbone
from recam_cli.core.runs.manifest import StageEntry
from recam_cli.core.runs.run import Run


@pytest.fixture
def run(tmp_path):
    """A run whose classifier, a MobileNetV2, started from a file."""
    run = Run.create(tmp_path / "run")
    torch.manual_seed(0)
    initial = build_backbone("mobilenet_v2")
    weights = tmp_path / "initial.safetensors"
    state = torchvision_layout(initial)
    save_model(weights, _Plain(state), {})
    torch.manual_seed(1)
    trained = build_backbone("mobilenet_v2")
    save_classifier(classifier_path(run, "recam"), Classifier(trained, 2), ("cat", "dog"))
    output = run.output_of_file(classifier_path(run, "recam"))
    run.manifest.stages["train-cls"] = StageEntry(
        state="done",
        settings={"method": "recam", "backbone": "mobilenet_v2", "weights": str(weights)},
        outputs={"recam": output},
    )
    run.manifest.save(run.path)
    return run


class _Plain(torch.nn.Module):
    def __init__(self, state):
        super().__init__()
        self.state = state

    def state_dict(self):
        return self.state


def torchvision_layout(backbone):
    """Return the backbone's weights under torchvision's names for MobileNetV2."""
    blocks = [block for stage in backbone.stages for block in stage]
    return {f"features.{i}.{k}": v for i, block in enumerate(blocks) for k, v in block.state_dict().items()}


def first_weight(backbone):
    return next(backbone.parameters())


def test_the_backbone_is_the_classifiers_unless_another_is_named(run):
    assert resolve_backbone(run, None) == "mobilenet_v2"
    assert resolve_backbone(run, "resnet18") == "resnet18"


def test_a_run_without_classifier_needs_a_named_backbone(tmp_path):
    run = Run.create(tmp_path / "empty")

    with pytest.raises(UsageError, match="Give --backbone"):
        resolve_backbone(run, None)


def test_weights_are_those_the_classifier_started_from(run):
    start = find_start(run, "mobilenet_v2", "weights", "recam")
    backbone = start_backbone(start, 16, seed=0)

    torch.manual_seed(0)
    assert torch.equal(first_weight(backbone), first_weight(build_backbone("mobilenet_v2")))
    assert start.origin == run.entry("train-cls").settings["weights"]
    assert len(start.identity) == 64
    assert backbone.frozen_statistics


def test_classifier_is_the_trained_one_dilated_in_full(run):
    start = find_start(run, "mobilenet_v2", "classifier", "recam")
    backbone = start_backbone(start, 16, seed=0)

    torch.manual_seed(1)
    trained = build_backbone("mobilenet_v2")
    assert torch.equal(first_weight(backbone), first_weight(trained))
    assert {m.dilation for m in backbone.modules() if isinstance(m, torch.nn.Conv2d)} == {(1, 1), (2, 2)}
    assert backbone.frozen_statistics


def test_none_is_random_follows_from_the_seed_and_trains_its_statistics(run):
    start = find_start(run, "mobilenet_v2", "none", "recam")
    one, two, other = (start_backbone(start, 8, seed=s) for s in (3, 3, 4))

    assert torch.equal(first_weight(one), first_weight(two))
    assert not torch.equal(first_weight(one), first_weight(other))
    assert not one.frozen_statistics


def test_another_backbone_cannot_start_from_the_runs_weights(run):
    with pytest.raises(UsageError, match=r"weights of mobilenet_v2, not of resnet18\. Name others with --init"):
        find_start(run, "resnet18", "weights", "recam")
    with pytest.raises(UsageError, match="the run's is a mobilenet_v2, not a resnet18"):
        find_start(run, "resnet18", "classifier", "recam")


def test_weights_that_do_not_fit_are_named(run):
    start = find_start(run, "resnet18", run.entry("train-cls").settings["weights"], "recam")

    with pytest.raises(DataError, match=r"initial\.safetensors: not weights of resnet18"):
        start_backbone(start, 16, seed=0)
