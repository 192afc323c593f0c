"""Re-activation equals the published form, in value and in every gradient."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from recam_cli.core.cams.reactivation import reactivate, reactivation_loss, spatial_normalised
from tests.benchmarks.published_recam import published_loss


def _case(seed, batch=3, classes=5, channels=7, size=(4, 6), share=0.4):
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(batch, channels, *size, generator=generator)
    fc1 = torch.randn(classes, channels, generator=generator)
    fc2 = torch.randn(classes, channels, generator=generator)
    targets = (torch.rand(batch, classes, generator=generator) < share).float()
    return features, fc1, fc2, targets


def _ours(features, fc1, fc2, targets, kind="sce"):
    return reactivation_loss(reactivate(features, fc1, targets), fc2, len(features), kind)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_loss_and_gradients_equal_the_published_form(seed, batch, share):
    given_tensors = _case(seed, batch=batch, share=share)
    targets = given_tensors[3]
    results = []
    for function in (_ours, published_loss):
        leaves = [t.clone().requires_grad_() for t in given_tensors[:3]]
        loss = function(*leaves, targets)
        if loss.requires_grad:
            loss.backward()
        results.append((loss.detach(), [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]))
    (ours, our_gradients), (published, published_gradients) = results
    torch.testing.assert_close(ours, published, atol=1e-5, rtol=1e-5)
    for a, b in zip(our_gradients, published_gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_gradient_reaches_the_classifier_through_mask_maximum_and_feature():
    features, fc1, fc2, targets = _case(1, share=1.0)
    leaves = [t.double().requires_grad_() for t in (features, fc1, fc2)]

    def loss(f, w1, w2):
        # float32 inside, so the numeric gradient is taken of the published form, which is double throughout
        return published_loss(f, w1, w2, targets)

    assert torch.autograd.gradcheck(loss, leaves, eps=1e-6, atol=1e-5)
    for leaf in leaves:
        leaf.grad = None
    _ours(*leaves, targets).backward()
    assert all(leaf.grad is not None and float(leaf.grad.abs().sum()) > 0 for leaf in leaves)


def test_an_image_weighs_the_same_however_many_classes_it_has():
    features, fc1, fc2, _ = _case(2, batch=2)
    targets = torch.tensor([[1.0, 0, 0, 0, 0], [1, 1, 1, 1, 0]])
    rows = reactivate(features, fc1, targets)
    logits = rows.features @ fc2.t()
    per_pair = F.cross_entropy(logits, rows.classes, reduction="none")
    expected = (per_pair[0] + per_pair[1:].mean()) / 2
    torch.testing.assert_close(_ours(features, fc1, fc2, targets), expected)
    torch.testing.assert_close(_ours(features, fc1, fc2, targets, "ce"), per_pair.mean())


def test_images_without_labels_count_in_the_batch_but_add_nothing():
    features, fc1, fc2, targets = _case(3, batch=2, share=1.0)
    alone = _ours(features[:1], fc1, fc2, targets[:1])
    targets[1] = 0
    torch.testing.assert_close(_ours(features, fc1, fc2, targets), alone / 2)


@pytest.mark.parametrize("kind", ["sce", "ce", "bce"])
def test_a_batch_without_any_label_has_zero_loss_and_a_graph(kind):
    features, fc1, fc2, targets = _case(4, share=0.0)
    fc2.requires_grad_()
    loss = _ours(features, fc1, fc2, targets, kind)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(fc2.grad, torch.zeros_like(fc2))


def test_bce_variant_is_the_multi_label_loss_on_one_hot_targets():
    features, fc1, fc2, _ = _case(5, batch=1)
    targets = torch.tensor([[0.0, 1, 0, 0, 0]])
    logits = reactivate(features, fc1, targets).features @ fc2.t()
    torch.testing.assert_close(
        _ours(features, fc1, fc2, targets, "bce"), F.multilabel_soft_margin_loss(logits, targets)
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_normalised_maps_lie_in_the_unit_interval_and_constant_maps_stay_finite(seed):
    generator = torch.Generator().manual_seed(seed)
    maps = spatial_normalised(torch.randn(2, 3, 4, 5, generator=generator) * 10)
    assert float(maps.min()) >= 0
    assert float(maps.max()) < 1
    assert torch.equal(spatial_normalised(torch.zeros(1, 1, 2, 2)), torch.zeros(1, 1, 2, 2))
