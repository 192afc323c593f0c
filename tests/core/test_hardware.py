"""--deterministic: what it sets, and that the forms it takes on a GPU mean the same."""

from __future__ import annotations

import os

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli import __main__
from recam_cli.core.affinity.boundary_loss import boundary_loss
from recam_cli.core.affinity.displacement_loss import displacement_loss
from recam_cli.core.errors import without_repeatable_form
from recam_cli.core.hardware import computed_with, prepare_process
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.segmenters import build_segmenter
from recam_cli.core.training.segmentation_loss import pixel_rows, segmentation_loss

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    prepare_process()


def test_it_holds_until_the_next_stage_begins():
    prepare_process(deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    prepare_process()
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic


def test_the_users_own_workspace_of_cublas_stays(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    prepare_process(deterministic=True)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_what_the_last_bits_depend_on_is_told():
    assert computed_with("bf16") == {"precision": "bf16", "threads": torch.get_num_threads()}


REFUSED = "histc_cuda does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms'"


def test_an_operation_without_such_a_form_is_a_usage_error(monkeypatch, capsys):
    def app(asked):
        raise RuntimeError(REFUSED)

    monkeypatch.setattr(__main__, "raise_on_signals", lambda _: None)
    monkeypatch.setattr("recam_cli.app.build_app", app)
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("recam: --deterministic: histc_cuda has no form") and "--device cpu" in text
    assert without_repeatable_form(RuntimeError("another")) is None
    assert without_repeatable_form(ValueError(REFUSED)) is None


@given(seed=st.integers(0, 10_000), height=st.integers(1, 9), width=st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_the_loss_of_rows_is_the_loss_of_maps_in_value_and_gradient(seed, height, width):
    draw = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, 4, height, width, generator=draw)
    masks = torch.randint(0, 4, (2, height, width), generator=draw)
    masks[torch.rand(masks.shape, generator=draw) < 0.3] = 255
    masks[0, 0, 0] = 1
    found = []
    for rows in (False, True):
        logits = maps.clone().requires_grad_()
        taken, labels = (pixel_rows(logits), masks.flatten()) if rows else (logits, masks)
        loss = F.cross_entropy(taken, labels, ignore_index=255)
        every = F.cross_entropy(taken, labels, ignore_index=255, reduction="none").view(masks.shape)
        loss.backward()
        found.append((loss.detach(), every.detach(), logits.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("before", "after"), [((5, 7), (11, 20)), ((9, 8), (4, 3)), ((1, 1), (3, 5)), ((6, 6), (6, 6))]
)
def test_torchs_repeatable_resizing_is_the_ordinary_one_in_value_and_gradient(before, after):
    from torch._decomp.decompositions import _upsample_linear_vec

    ways = (
        lambda maps: F.interpolate(maps, size=after, mode="bilinear", align_corners=False),
        lambda maps: _upsample_linear_vec(maps, after, False, None),  # what `interpolate` takes on a GPU
    )
    values = torch.randn(2, 3, *before, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(2, 3, *after, generator=torch.Generator().manual_seed(1))
    found = []
    for way in ways:
        maps = values.clone().requires_grad_()
        grown = way(maps)
        (grown * weight).sum().backward()
        found.append((grown.detach(), maps.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@needs_gpu
@pytest.mark.parametrize("network", ["deeplabv2", "deeplabv3", "lraspp"])
def test_on_a_gpu_a_training_step_of_a_segmenter_gives_the_same_bits(network):
    prepare_process(deterministic=True)
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, 129, 129, generator=draw).cuda()
    masks = torch.randint(0, 5, (4, 129, 129), generator=draw).cuda()
    masks[masks == 4] = 255
    found = []
    for balanced in (False, True, False, True):
        torch.manual_seed(0)
        backbone = build_backbone("mobilenet_v2", stride=16, dilation="full")
        segmenter = build_segmenter(network, backbone, 4, msc=network == "deeplabv2", generator=torch.Generator())
        segmenter = segmenter.cuda().train()
        segmentation_loss(segmenter(images), masks, balanced=balanced).backward()
        found.append([p.grad for p in segmenter.parameters() if p.grad is not None])
    for first, second in ((0, 2), (1, 3)):
        assert all(torch.equal(a, b) for a, b in zip(found[first], found[second], strict=True))


@needs_gpu
def test_on_a_gpu_the_losses_of_the_walks_networks_give_the_same_bits():
    prepare_process(deterministic=True)
    draw = torch.Generator().manual_seed(0)
    logits, field = torch.randn(2, 40, 40, generator=draw), torch.randn(2, 2, 40, 40, generator=draw)
    labels = torch.randint(0, 3, (2, 40, 40), generator=draw).cuda()
    found = []
    for _ in range(3):
        edges, arrows = logits.cuda().requires_grad_(), field.cuda().requires_grad_()
        (boundary_loss(edges, labels).total + displacement_loss(arrows, labels)["displacement"]).backward()
        found.append((edges.grad, arrows.grad))
    assert all(torch.equal(a, b) for again in found[1:] for a, b in zip(found[0], again, strict=True))
