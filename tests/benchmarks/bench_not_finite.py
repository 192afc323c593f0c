"""What looking at every gradient and weight costs: its share of a training step, smaller steps than anyone's."""

from __future__ import annotations

import statistics
import time

import pytest
import torch

from recam_cli.core.hardware import autocast, choose_device, choose_precision, prepare_process
from recam_cli.core.models.backbones import build_backbone
from recam_cli.core.models.classifier import Classifier
from recam_cli.core.training.loop import ParameterGroup, sgd
from recam_cli.core.training.not_finite import StepGuard

pytestmark = pytest.mark.bench


@pytest.mark.parametrize(
    ("name", "batch", "crop"), [("resnet50", 4, 256), ("resnet18", 8, 160), ("mobilenet_v2", 8, 160)]
)
def test_the_check_takes_less_than_two_percent_of_a_step(name, batch, crop):
    prepare_process()
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    net = Classifier(build_backbone(name, stride=16), 20).to(device).to(memory_format=torch.channels_last)
    optimiser = sgd([ParameterGroup(net.parameters(), 1e-4, 1e-4)], 0.9)
    images = torch.randn(batch, 3, crop, crop).to(device).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch, 20, device=device)
    guard, steps, checks = StepGuard(optimiser), [], []
    for _ in range(6):
        begun = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        with autocast(device, precision):
            logits = net(images)
        loss = torch.nn.functional.multilabel_soft_margin_loss(logits.float(), labels)
        float(loss.detach())
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        before = time.perf_counter()
        assert guard.fault(applies=True) is None
        checks.append(time.perf_counter() - before)
        optimiser.step()
        steps.append(time.perf_counter() - begun)
    step, check = statistics.median(steps[1:]), statistics.median(checks[1:])
    print(
        f"\n{name}, {batch} images of {crop}², {device} {precision}: step {1e3 * step:.0f} ms, "
        f"check {1e3 * check:.1f} ms, {100 * check / step:.2f} %"
    )
    assert check / step < 0.02
