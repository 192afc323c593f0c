from __future__ import annotations

import numpy as np
import pytest
import torch

from recam_cli.core.data.registry import open_dataset
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.segmenters import HEADS, build_segmenter
from recam_cli.core.reporter import SilentReporter
from recam_cli.core.settings.groups import DataSettings
from recam_cli.core.settings.train_seg import TrainSegSettings
from recam_cli.core.training.loader import TrainingImages
from recam_cli.core.training.segmenter_training import (
    augmentation_of,
    check_schedule,
    freeze_stages,
    parameter_groups,
    train_segmenter,
)
from tests.helpers.tiny_data import TINY_CLASSES, make_custom


def make(network="lraspp", seed=0):
    torch.manual_seed(seed)
    backbone = build_backbone("mobilenet_v2", stride=16, dilation="full")
    backbone.freeze_statistics()
    generator = torch.Generator().manual_seed(seed)
    return build_segmenter(network, backbone, len(TINY_CLASSES) + 1, generator=generator)


@pytest.fixture
def images(tmp_path):
    root = make_custom(tmp_path / "data", 6, splits={"train": range(6)})
    return open_dataset(DataSettings(dataset="custom", data_root=root), "train")


def train(segmenter, images, settings, **calls):
    data = TrainingImages(images.samples, images.targets(), augmentation_of(settings), settings.seed, 10**6, masks=True)
    given = {"log": lambda **_: None, "after_epoch": lambda _: None} | calls
    return train_segmenter(
        segmenter,
        data,
        settings,
        device=torch.device("cpu"),
        precision="fp32",
        reporter=SilentReporter(),
        **given,
    )


def quick(**changes):
    common = {"epochs": 4, "batch_size": 3, "lr": 0.02, "crop": 48, "scale": (1.0, 1.0), "workers": 0}
    return TrainSegSettings(**common | changes)


def test_training_learns_what_the_masks_show(images):
    lines, epochs = [], []

    last = train(make(), images, quick(), log=lambda **v: lines.append(v), after_epoch=epochs.append)

    assert epochs == [1, 2, 3, 4]
    assert last["loss"] == lines[-1]["loss"] < 0.95 * lines[0]["loss"]


@pytest.mark.parametrize("network", HEADS)
def test_every_parameter_is_in_one_group_and_the_head_learns_faster(network):
    segmenter = make(network)

    backbone, weights, biases = parameter_groups(segmenter, quick(lr=0.1, head_lr_factor=5, weight_decay=0.01))

    grouped = [id(p) for g in (backbone, weights, biases) for p in g.parameters]
    assert sorted(grouped) == sorted(id(p) for p in segmenter.parameters())
    assert [g.learning_rate for g in (backbone, weights, biases)] == pytest.approx([0.1, 0.5, 1.0])
    assert [g.weight_decay for g in (backbone, weights, biases)] == [0.01, 0.01, 0.0]


def test_frozen_stages_stay_as_they_are_and_the_others_learn(images):
    segmenter = make()
    before = {n: p.clone() for n, p in segmenter.named_parameters()}

    train(segmenter, images, quick(epochs=1, freeze_stages=2))

    moved = {n for n, p in segmenter.named_parameters() if not torch.equal(p, before[n])}
    assert not any(n.startswith(("backbone.stages.0.", "backbone.stages.1.")) for n in moved)
    assert any(n.startswith("backbone.stages.2.") for n in moved)
    assert any(n.startswith("head.") for n in moved)


def test_freezing_none_leaves_everything_trainable():
    segmenter = make()

    freeze_stages(segmenter, 0)

    assert all(p.requires_grad for p in segmenter.parameters())


def test_training_leaves_torchs_own_random_numbers_alone(images):
    torch.manual_seed(7)
    wanted = torch.rand(3)
    segmenter = make()
    torch.manual_seed(7)

    train(segmenter, images, quick(epochs=1))

    assert torch.equal(torch.rand(3), wanted)


def test_a_mask_value_beyond_the_classes_names_the_file(images, tmp_path):
    from recam_cli.core.data.images import write_mask

    sample = images.samples[4]
    write_mask(sample.mask, np.full((40, 48), len(TINY_CLASSES) + 1, np.uint8))

    with pytest.raises(DataError, match=rf"{sample.id}\.png: holds value 4, but the classes end at 3"):
        train(make(), images, quick(epochs=1))


def test_a_range_of_scales_is_two_ascending_numbers():
    check_schedule(quick(scale=(1.0, 1.0)), 10)
    for scale in ((1.0,), (2.0, 1.0), (0.5, 1.0, 1.5)):
        with pytest.raises(UsageError, match="smallest,largest"):
            check_schedule(quick(scale=scale), 10)


def test_deeplabv3_needs_two_images_in_a_batch():
    with pytest.raises(UsageError, match="at least 2 images"):
        check_schedule(quick(network="deeplabv3"), 1)
