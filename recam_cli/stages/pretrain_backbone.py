"""pretrain-backbone: a backbone from nothing, on generated pictures of single objects, and its card."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recam_cli.core.data.limits import MAX_PIXELS
from recam_cli.core.data.samples import Sample
from recam_cli.core.data.shapes import PRETRAIN_CATEGORIES
from recam_cli.core.data.shapes.single import SinglePictures, draw_single_pictures
from recam_cli.core.data.shapes.spec import GENERATOR_VERSION
from recam_cli.core.data.transforms import Augmentation, to_tensor
from recam_cli.core.errors import RunError, UsageError
from recam_cli.core.hardware import prepare_process
from recam_cli.core.models.backbones import Backbone, build_backbone
from recam_cli.core.models.builtin import builtin_name, card_path, save_torchvision_state
from recam_cli.core.reporter import Reporter
from recam_cli.core.runs.files import sha256_of, write_text
from recam_cli.core.settings.pretrain_backbone import PretrainBackboneSettings
from recam_cli.core.settings.resolve import Resolved
from recam_cli.core.training.loader import Batch, Item, TrainingImages
from recam_cli.core.training.loop import Loop, Losses

_SMOOTHING = 0.1
_SCALES = (0.75, 1.25)
_TRAINING, _MEASURING = 0, 1


@dataclass(frozen=True)
class PretrainBackboneResult:
    """What was made.

    Attributes:
        weights: the safetensors file, torchvision's layout without the classification head.
        card: the Markdown file that describes it.
        sha256: of the weights.
        bytes: size of the weights.
        accuracy: share of the held-out pictures named rightly, in percent.
        images: number of training pictures.
        seconds: wall-clock time.
        cpu_seconds: processor time of this process.
    """

    weights: Path
    card: Path
    sha256: str
    bytes: int
    accuracy: float
    images: int
    seconds: float
    cpu_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return asdict(self) | {"weights": str(self.weights), "card": str(self.card)}


class _Network(nn.Module):
    """The backbone under a linear classifier of its average-pooled features."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.out_channels, len(PRETRAIN_CATEGORIES))

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) to logits (B, number of categories)."""
        logits: Tensor = self.head(self.backbone(images).mean(dim=(2, 3)))
        return logits


@dataclass(frozen=True, eq=False)
class _DrawnImages(TrainingImages):
    """Training images that lie in memory instead of on disk."""

    pixels: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.uint8))

    def __getitem__(self, key: tuple[int, int]) -> Item:
        """Return the augmented item of `key` = (epoch, index)."""
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        crop, _ = self.augmentation(self.pixels[index], None, rng)
        image = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))
        return Item(image, torch.from_numpy(self.targets[index]), torch.empty(0, dtype=torch.int64), index)


def run(resolved: Resolved[PretrainBackboneSettings], reporter: Reporter) -> PretrainBackboneResult:
    """Draw the pictures, train, and write weights and card.

    Raises:
        UsageError: as many crops as epochs are needed.
        RunError: the weights file is there already.
        TrainingError: the loss became NaN or infinite.
    """
    settings = resolved.settings
    path = settings.out or Path("checkpoints") / builtin_name(settings.backbone)
    _check(settings, path)
    prepare_process()
    begun, cpu_begun = time.monotonic(), time.process_time()
    draw = {"workers": settings.workers, "reporter": reporter}
    pictures = draw_single_pictures(settings.images, settings.size, settings.seed, _TRAINING, **draw)  # type: ignore[arg-type]
    held_out = draw_single_pictures(settings.val_images, settings.size, settings.seed, _MEASURING, **draw)  # type: ignore[arg-type]
    network = _network(settings)
    losses = _train(settings, network, pictures, reporter)
    accuracy = _accuracy(network, held_out)
    save_torchvision_state(path, network.backbone)
    result = PretrainBackboneResult(
        weights=path,
        card=card_path(path),
        sha256=sha256_of(path),
        bytes=path.stat().st_size,
        accuracy=round(100 * accuracy, 2),
        images=len(pictures),
        seconds=round(time.monotonic() - begun, 1),
        cpu_seconds=round(time.process_time() - cpu_begun, 1),
    )
    write_text(result.card, _card(settings, result, losses))
    return result


def _check(settings: PretrainBackboneSettings, path: Path) -> None:
    if len(settings.crops) != len(settings.epochs):
        raise UsageError(
            f"--crops names {len(settings.crops)} phases and --epochs {len(settings.epochs)}",
            remedy="Give one crop and one number of epochs per phase",
        )
    if path.suffix != ".safetensors":
        raise UsageError(f"--out: {path} does not end in .safetensors")
    if path.exists():
        raise RunError(f"{path} is there already", remedy="Choose another --out, or move it away")


def _network(settings: PretrainBackboneSettings) -> _Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = _Network(build_backbone(settings.backbone, stride=16))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _train(
    settings: PretrainBackboneSettings, network: _Network, pictures: SinglePictures, reporter: Reporter
) -> list[float]:
    """Train in phases of growing crops under one learning-rate curve; return the mean loss of each epoch."""
    groups = [
        {"params": [p for p in network.parameters() if (p.dim() > 1) == decays], "weight_decay": decay}
        for decays, decay in ((True, settings.weight_decay), (False, 0.0))
    ]
    optimiser = torch.optim.AdamW(groups, lr=settings.lr)
    for group in optimiser.param_groups:
        group["initial_lr"] = settings.lr
    samples = tuple(Sample(f"picture-{i}", Path(), (int(k),)) for i, k in enumerate(pictures.categories))
    batch_size = min(settings.batch_size, len(pictures))
    total = sum(settings.epochs) * (len(pictures) // batch_size)
    means: list[float] = []

    def losses(batch: Batch) -> Losses:
        loss = F.cross_entropy(network(batch.images), batch.labels, label_smoothing=_SMOOTHING)
        return Losses(loss, {"loss": loss})

    network.train()
    for phase, (crop, epochs) in enumerate(zip(settings.crops, settings.epochs, strict=True)):
        fitted = tuple(scale * crop / settings.size for scale in _SCALES)
        augmentation = Augmentation(crop, relative=True, scale=(fitted[0], fitted[1]), jitter=settings.jitter)
        data = _DrawnImages(
            samples, pictures.one_hot(), augmentation, settings.seed, MAX_PIXELS, pixels=pictures.pixels
        )
        before = sum(settings.epochs[:phase])
        offset = before * (len(pictures) // batch_size)
        Loop(
            title=f"Pre-training at {crop} pixels",
            data=data,
            epochs=epochs,
            batch_size=batch_size,
            optimiser=optimiser,
            schedule=lambda step, _, offset=offset: cosine(offset + step, total, settings.warm_up),  # type: ignore[misc]
            device=torch.device("cpu"),
            precision="fp32",
            workers=min(settings.workers, 1),
            reporter=reporter,
            log=lambda **line: means.append(line["loss"]),
            first_epoch=before,
        ).run(losses, lambda epoch: {})
    return means


def cosine(step: int, total: int, warm_up: float) -> float:
    """Return the learning rate's factor: a linear rise over the share `warm_up` of the steps, then half a cosine."""
    rise = round(total * warm_up)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))


def _accuracy(network: _Network, pictures: SinglePictures) -> float:
    network.eval()
    right = 0
    with torch.inference_mode():
        for chunk in _chunks(len(pictures), 64):
            images = torch.stack([to_tensor(picture) for picture in pictures.pixels[chunk]])
            images = images.contiguous(memory_format=torch.channels_last)
            found = network(images).argmax(dim=1).numpy()
            right += int((found == pictures.categories[chunk]).sum())
    return right / len(pictures)


def _chunks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _card(settings: PretrainBackboneSettings, result: PretrainBackboneResult, losses: list[float]) -> str:
    phases = " then ".join(
        f"{e} epochs of {c}-pixel crops" for c, e in zip(settings.crops, settings.epochs, strict=True)
    )
    rows = {
        "File": f"`{result.weights.name}`, {result.bytes:,} bytes",
        "SHA-256": f"`{result.sha256}`",
        "Network": f"{settings.backbone}, torchvision's layout without its classification head; convolutions "
        "stored as float16, all else as float32",
        "Data": f"{result.images:,} generated pictures of single objects, {settings.size}×{settings.size} pixels, "
        f"{len(PRETRAIN_CATEGORIES)} categories (shapes generator {GENERATOR_VERSION}, seed {settings.seed}); none "
        "of them is a class of the data set `shapes`, and no photograph is among them",
        "Command": f"`{shlex.join(['recam', *sys.argv[1:]])}`",
        "Training": f"from random weights, {phases}, output stride 16, AdamW (learning rate {settings.lr:g}, weight "
        f"decay {settings.weight_decay:g}), cosine schedule, batch {settings.batch_size}, colour jitter "
        f"{settings.jitter:g}; loss by epoch: {', '.join(f'{loss:.3f}' for loss in losses)}",
        "Accuracy": f"{result.accuracy:.2f} % on {settings.val_images} further pictures (chance: "
        f"{100 / len(PRETRAIN_CATEGORIES):.1f} %)",
        "Time": f"{result.cpu_seconds:.0f} CPU seconds of the training process, on torch {torch.__version__}",
        "Licence": "MIT, as recam itself",
    }
    lines = [f"# {result.weights.stem}", "", *(f"- **{name}**: {text}" for name, text in rows.items()), ""]
    return "\n".join([*lines, f"Categories: {', '.join(PRETRAIN_CATEGORIES)}.", ""])
