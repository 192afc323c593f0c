"""How many bytes a network takes per pixel: measured on one small input, for any network, and scaled.

The rule. While a function runs on one image, every tensor that torch makes is counted from its making until it is let
go of: after each operation there is a sum of what lives. So a forward pass counts what it holds at once (about the two
largest maps of a chain, more where branches wait), and a training step what autograd keeps, the gradients on the way
back included. The function runs at two sizes. Operation by operation the two sums give a line over the pixels: what
does not grow with the image, such as folded weights, and bytes per pixel; the largest of each are the `Cost`. Slack on
top is for what torch's operations hold inside, and for gaps that the allocator leaves.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recam_cli.core.memory import Budget, Cost, host_budget

SLACK = 2.0
"""What a forward pass really takes on a CPU, as a multiple of the tensors that live."""
STEP_SLACK = 1.4
"""The same of a training step, where what autograd keeps is the most of it."""
FIXED = 64 << 20
"""Bytes that it takes besides, whatever the size: weights in the layout that a convolution wants, and the allocator's
spare. Measured on efficientnet_lite0, mobilenet_v2, vgg16 and resnet50 by `tests/benchmarks/bench_memory.py`."""
_INPUT = 40
"""Bytes per pixel of a view as it is made ready: bytes, numbers, and both again in another layout."""
GPU_SHARE = 0.85
_SIDES = (96, 192)


class _Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors made within it that live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.sums = 0, [0]
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and count what it made."""
        found = func(*args, **(kwargs or {}))
        before = {_place(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor) and (place := _place(tensor)) not in before and place not in self._known:
                self._count(tensor.untyped_storage(), place)
        self.sums.append(self.now)
        return found

    def _count(self, storage: torch.UntypedStorage, place: int) -> None:
        size = storage.nbytes()
        self._known.add(place)
        self.now += size
        weakref.finalize(storage, self._forget, place, size).atexit = False

    def _forget(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.now -= size


def _place(tensor: Tensor) -> int:
    number: int = tensor.untyped_storage()._cdata
    return number


def living(run: Callable[[], Any]) -> list[int]:
    """Return the bytes of tensors made within `run()` that live, after each operation of torch."""
    with _Living() as counted:
        run()
    sums: list[int] = counted.sums
    return sums


def line_through(
    small: tuple[float, Sequence[int]], large: tuple[float, Sequence[int]], *, slack: float = SLACK
) -> Cost:
    """Return the cost that two measurements say, with slack.

    Args:
        small, large: pixels, and what `living` returned of them. Where the operations are not the same, only the
            largest sums are compared.
        slack: factor of both parts of the cost.
    """
    (fewer, some), (more, many) = small, large
    if len(some) != len(many):
        some, many = [max(some)], [max(many)]
    slopes = [max(0.0, (b - a) / max(1.0, more - fewer)) for a, b in zip(some, many, strict=True)]
    fixed = max(max(0.0, a - slope * fewer) for a, slope in zip(some, slopes, strict=True))
    return Cost(FIXED + slack * fixed, slack * max(slopes) + _INPUT)


def looking_cost(look: Callable[[Tensor], Any], device: torch.device) -> Cost:
    """Return what `look`, a forward pass without gradients, takes per pixel of the images (B, 3, H, W) it is given."""
    points = []
    for side in _SIDES:
        images = torch.zeros(1, 3, side, side, device=device)
        if device.type != "mps":
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            points.append((float(side * side), living(partial(look, images))))
    return line_through(*points)


def budget_on(text: str, device: torch.device) -> Budget:
    """Return the budget that `text`, as of `--memory`, means for batches on `device` now."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        reserved, allocated = torch.cuda.memory_reserved(device), torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + reserved - allocated
        budget = Budget.of(text, free=free, held=allocated, share=GPU_SHARE, most=float("inf"))
        return replace(budget, where="the GPU's memory")
    return host_budget(text)


@dataclass(frozen=True)
class Looking:
    """How much a network may look at together.

    Attributes:
        budget: what there is.
        cost: per pixel that it looks at, as of `looking_cost`.
        what: is done, for messages.
        remedy: what else than more memory helps.
    """

    budget: Budget
    cost: Cost
    what: str
    remedy: str = ""

    @classmethod
    def by(
        cls, look: Callable[[Tensor], Any], device: torch.device, memory: str, what: str, remedy: str = ""
    ) -> Looking:
        """Return what `memory`, as of `--memory`, allows `look`, a forward pass on `device`."""
        cost = looking_cost(look, device)
        return cls(budget_on(memory, device), cost, what, remedy)

    def pixels(self, least: float = 0.0) -> int:
        """Return the pixels that it may look at together; errors as of `Budget.pixels`, where `least` do not fit."""
        return self.budget.pixels(self.cost, self.what, least=least, remedy=self.remedy)

    def together(self, count: int, pixels: float, others: float = 0.0) -> int:
        """Return how many of `count` photographs it may look at together, in equal parts; errors as of `Budget`.

        Args:
            count: photographs.
            pixels: of each, as the network sees it.
            others: bytes that each takes besides.
        """
        each = pixels * self.cost.per_pixel + others
        return self.budget.together(count, each, self.what, fixed=self.cost.fixed, remedy=self.remedy)
