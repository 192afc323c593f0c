"""What a forward pass and a training step really take, beside what `core/footprint.py` says.

pytest -m bench -s tests/benchmarks/bench_memory.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from pathlib import Path
import torch
from recam_cli.core import footprint
from recam_cli.core.footprint import line_through, living, looking_cost
from recam_cli.core.hardware import prepare_process
from recam_cli.core.memory import held_bytes, release_memory
from recam_cli.core.models.backbones import build_backbone

name, mode, count, side = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
prepare_process()
net = build_backbone(name)
net.freeze_statistics()
net.freeze_stem()
net = net.to(memory_format=torch.channels_last)


def images(count, side):
    return torch.randn(count, 3, side, side).contiguous(memory_format=torch.channels_last)


def step(batch):
    return torch.autograd.grad(net(batch).mean(), [p for p in net.parameters() if p.requires_grad])


if mode == "looking":
    net.eval().requires_grad_(False)
    cost, slack, work = looking_cost(net, torch.device("cpu")), footprint.SLACK, net
else:
    slack, work = footprint.STEP_SLACK, step
    small, large = (living(lambda size=size: step(images(1, size))) for size in (side // 2, side))
    cost = line_through((side * side // 4, small), (side * side, large), slack=slack)
release_memory()
Path("/proc/self/clear_refs").write_text("5")  # the peak so far
before = held_bytes()
batch = images(count, side)
for _ in range(2):
    work(batch)
lines = Path("/proc/self/status").read_text().splitlines()
taken = (int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) << 10) - before
print(int(cost.of(count * side * side)) >> 20, taken >> 20, int((cost.per_pixel - footprint._INPUT) / slack))
"""


@pytest.mark.bench
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("mode", ["looking", "step"])
@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2", "resnet50", "vgg16"])
def test_what_is_taken_is_within_what_is_said(name, mode):
    for count, side in ((4, 256), (8, 384)) if mode == "looking" else ((2, 160), (4, 256)):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", CODE, name, mode, str(count), str(side)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        said, taken, counted = map(int, done.stdout.split())
        print(f"{name}, {mode}, {count} of {side}²: {counted} bytes per pixel; said {said} MiB, taken {taken} MiB")
        assert taken <= 1.1 * said
