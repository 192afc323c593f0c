"""A step in parts is the whole step, for every loss; and networks whose images mix are not split."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from recam_cli.core.affinity.displacement_loss import displacement_loss
from recam_cli.core.affinity.label_pairs import pair_counts
from recam_cli.core.errors import UsageError
from recam_cli.core.models.affinity_net import AffinityNet
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.models.segmenters import build_segmenter
from recam_cli.core.settings.irn import BoundarySettings
from recam_cli.core.settings.psa import AffinitySettings
from recam_cli.core.training import parts
from recam_cli.core.training.affinity_training import AffinityLesson
from recam_cli.core.training.boundary_training import BoundaryLesson
from recam_cli.core.training.loader import Batch
from recam_cli.core.training.loop import Losses
from recam_cli.core.training.parts import Splitting, mixes
from recam_cli.core.training.segmentation_loss import cell_counts, segmentation_loss
from recam_cli.stages import classifier_phases

CPU = torch.device("cpu")
SIZE, COUNT = 64, 5


@pytest.fixture(scope="module")
def batch():
    """Five images with 0 to 3 labels, and masks that differ in how much of them is background or undecided."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(COUNT, 3, SIZE, SIZE, generator=generator)
    labels = torch.tensor([[1, 0, 0], [1, 1, 1], [0, 0, 0], [0, 1, 0], [0, 1, 1]]).float()
    masks = torch.zeros(COUNT, SIZE, SIZE, dtype=torch.int64)
    for number in range(COUNT):
        masks[number, : 12 * number, 8:] = 1 + number % 3
        masks[number, :, : 9 * number] = 255
    masks[3] = 255
    return Batch(images, labels, masks, torch.arange(COUNT))


def backbone(stride=16):
    torch.manual_seed(0)
    made = build_backbone("mobilenet_v2", stride=stride)
    made.freeze_statistics()
    return made


def classifier(loss, trains="all"):
    net = Classifier(backbone(), 3)
    net.reset_heads(torch.Generator().manual_seed(0))
    settings = SimpleNamespace(bce_trains=trains, loss=loss, loss_weight=0.7)
    training = SimpleNamespace(classifier=net, settings=settings)
    return net, classifier_phases.recam_losses(training), classifier_phases.counts


def segmenter(balanced):
    net = build_segmenter("deeplabv2", backbone(), 4, msc=True, generator=torch.Generator().manual_seed(0))

    def losses(batch):
        return Losses(segmentation_loss(net(batch.images), batch.masks, balanced=balanced, of=batch.of), {})

    return net, losses, lambda batch: cell_counts(batch.masks)


def branch(kind):
    if kind == "psa":
        net, lesson = AffinityNet(backbone(8)), AffinityLesson.of(AffinitySettings())
    else:
        net, lesson = BoundaryNet(backbone(), displacement=True), BoundaryLesson.of(BoundarySettings())
    net.reset(torch.Generator().manual_seed(0))
    return (
        net,
        lambda batch: lesson.losses(net, batch.images, batch.masks, batch.of),
        lambda batch: lesson.counts(net, batch.masks),
    )


CASES = {
    "sce": lambda: classifier("sce"),
    "ce": lambda: classifier("ce"),
    "bce": lambda: classifier("bce"),
    "head only": lambda: classifier("sce", "head"),
    "segmenter": lambda: segmenter(False),
    "balanced": lambda: segmenter(True),
    "irn": lambda: branch("irn"),
    "psa": lambda: branch("psa"),
}


def gradients(net, losses, pieces):
    net.zero_grad(set_to_none=True)
    total, shown = 0.0, {}
    for piece in pieces:
        found = losses(piece)
        found.total.backward()
        total += float(found.total.detach())
        for name, value in found.parts.items():
            shown[name] = shown.get(name, 0.0) + float(value.detach())
    return total, shown, {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("together", [1, 2, 3])
def test_losses_and_gradients_of_the_parts_add_up_to_the_batchs(batch, case, together):
    net, losses, counts = CASES[case]()
    net.train()
    assert not mixes(net)
    pieces = list(Splitting(net, "auto", counts).parts(batch, together))
    assert [len(piece.images) for piece in pieces] == [len(c) for c in torch.arange(COUNT).split(together)]
    whole, in_parts = (gradients(net, losses, some) for some in ([batch], pieces))
    assert in_parts[0] == pytest.approx(whole[0], rel=1e-4)
    assert in_parts[1] == pytest.approx(whole[1], rel=1e-4, abs=1e-6)
    assert whole[2].keys() == in_parts[2].keys()
    assert any(value.abs().max() > 0 for value in whole[2].values())
    for name, value in whole[2].items():
        scale = float(value.abs().max())
        torch.testing.assert_close(in_parts[2][name], value, rtol=1e-3, atol=1e-4 * scale + 1e-7)


def test_means_of_the_parts_alone_would_not_add_up(batch):
    """So the counts are needed: images of a batch hold more and fewer cells and pairs."""
    _, losses, _ = segmenter(False)
    wrong = sum(float(losses(batch.part(slice(k, k + 1), None)).total.detach()) for k in range(COUNT)) / COUNT
    assert wrong != pytest.approx(float(losses(batch).total.detach()), rel=1e-2)


def test_displacements_of_the_parts_add_up(batch):
    field = torch.randn(COUNT, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    labels = batch.masks[:, ::4, ::4]
    of = sum(pair_counts(labels[k : k + 1], 5) for k in range(COUNT))
    whole = displacement_loss(field, labels, radius=5)
    each = [displacement_loss(field[k : k + 1], labels[k : k + 1], radius=5, of=of) for k in range(COUNT)]
    for name, value in whole.items():
        assert float(sum(one[name] for one in each)) == pytest.approx(float(value), rel=1e-5)


def test_a_batch_that_fits_stays_as_it_is(batch):
    net, losses, counts = classifier("sce")
    splitting = Splitting(net, "64GB", counts)
    together = splitting.together(batch, losses, title="CAM", device=CPU, precision="fp32", workers=0)
    assert together == COUNT
    [only] = splitting.parts(batch, together)
    assert only is batch


def budget_of(monkeypatch, room):
    monkeypatch.setattr(parts, "budget_on", lambda text, device: parts.Budget(10**9 + room, 10**9, 0, "1500MB"))


def test_the_less_room_the_more_parts_down_to_one_image(batch, monkeypatch):
    net, losses, counts = classifier("sce")
    found: list[int] = []
    room, real = 10**9, parts.living
    taken: list[float] = []

    def living(step):  # as at first, a small step and a large one in turn
        if len(taken) < 2:
            taken.append(real(step))
            return taken[-1]
        taken.append(taken[-2])
        return taken[-1]

    monkeypatch.setattr(parts, "living", living)
    with pytest.raises(UsageError, match=r"CAM needs .*(GB|MB) for one photograph at a time.*smaller crop"):
        while room > 1 << 20:
            budget_of(monkeypatch, room)
            splitting = Splitting(net, "auto", counts)
            found.append(splitting.together(batch, losses, title="CAM", device=CPU, precision="fp32", workers=0))
            room = room * 97 // 100
    assert found[0] == COUNT
    assert found == sorted(found, reverse=True)
    assert found[-1] == 1


def test_measuring_changes_neither_network_nor_gradients_nor_generators(batch):
    net = build_segmenter("lraspp", backbone(), 4, generator=torch.Generator().manual_seed(0)).train()
    net.head.add_module("dropout", nn.Dropout(0.5))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    drawn, modes = torch.get_rng_state(), [m.training for m in net.modules()]

    def losses(batch):
        return Losses(segmentation_loss(net(batch.images), batch.masks), {})

    Splitting(net, "64GB", lambda b: cell_counts(b.masks)).together(
        batch, losses, title="Segmenter", device=CPU, precision="fp32", workers=0
    )
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert [m.training for m in net.modules()] == modes


@pytest.mark.parametrize("network", ["lraspp", "deeplabv3"])
def test_networks_with_a_batch_norm_in_training_are_never_split_but_refused(batch, monkeypatch, network):
    net = build_segmenter(network, backbone(), 4, generator=torch.Generator().manual_seed(0)).train()
    assert mixes(net)

    def losses(batch):
        return Losses(segmentation_loss(net(batch.images), batch.masks), {})

    splitting = Splitting(net, "auto", lambda b: cell_counts(b.masks))
    arguments = {"title": "Segmenter", "device": CPU, "precision": "fp32", "workers": 0}
    assert splitting.together(batch, losses, **arguments) == COUNT
    budget_of(monkeypatch, 1 << 20)
    with pytest.raises(UsageError, match=r"for a batch of 5 photographs, which Segmenter cannot split.*smaller batch"):
        splitting.together(batch, losses, **arguments)


def test_what_mixes():
    assert mixes(nn.Sequential(nn.BatchNorm2d(3)))
    assert mixes(nn.Sequential(nn.Dropout(0.1)))
    assert not mixes(nn.Sequential(nn.Dropout(0.0), nn.GroupNorm(1, 3)))
    assert not mixes(nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.1)).eval())
    assert mixes(build_backbone("mobilenet_v2").train())
