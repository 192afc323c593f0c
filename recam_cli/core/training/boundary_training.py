"""How the boundary network is trained (IRN, CVPR 2019, §3.3).

Its displacement branch, where it has one, learns beside it. As the backbone is frozen, neither changes the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recam_cli.core.affinity.boundary_loss import boundary_loss
from recam_cli.core.affinity.displacement_loss import displacement_loss
from recam_cli.core.affinity.label_pairs import pair_counts
from recam_cli.core.data.reading import read_batches
from recam_cli.core.data.transforms import Augmentation, enlarged, enlarged_size
from recam_cli.core.errors import UsageError
from recam_cli.core.footprint import Looking
from recam_cli.core.hardware import under_autocast
from recam_cli.core.memory import parts_of
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.settings.irn import BoundarySettings
from recam_cli.core.training.branch_training import Lesson, Place, labels_on
from recam_cli.core.training.loader import TrainingImages
from recam_cli.core.training.loop import Losses, ParameterGroup

_MEAN_BATCH = 8
"""Images of equal size that are read together for the field's mean."""


@dataclass(frozen=True)
class BoundaryLesson(Lesson[BoundaryNet]):
    """Random scaling, mirroring and crops; the loss over pairs, and that of the displacement field, if there is one.

    Attributes:
        radius: of the pairs.
        rate, displacement_rate: learning rates of the branches.
        weight_decay: of both.
    """

    radius: int
    rate: float
    displacement_rate: float
    weight_decay: float

    @classmethod
    def of(cls, settings: BoundarySettings, *, displacement_rate: float = 1.0) -> BoundaryLesson:
        """Return what the settings ask for.

        Raises:
            UsageError: the scale, or the side, is no range.
        """
        for option, given in (("--irn-scale", settings.irn_scale), ("--irn-side", settings.irn_side)):
            if len(given) != 2 or given[0] > given[1]:
                raise UsageError(f"{option}: give two numbers, smallest,largest")
        return cls(
            title="Boundaries",
            augmentation=Augmentation.within(settings.irn_crop, settings.irn_scale, settings.irn_side),
            epochs=settings.irn_epochs,
            batch_size=settings.irn_batch_size,
            momentum=settings.irn_momentum,
            radius=settings.irn_radius,
            rate=settings.irn_lr,
            displacement_rate=displacement_rate,
            weight_decay=settings.irn_weight_decay,
        )

    def groups(self, net: BoundaryNet) -> list[ParameterGroup]:
        """Return the branches, each at its rate."""
        branch = (*net.reduce.parameters(), *net.fuse.parameters())
        groups = [ParameterGroup(branch, self.rate, self.weight_decay)]
        if net.displacement is not None:
            groups.append(ParameterGroup(net.displacement.parameters(), self.displacement_rate, self.weight_decay))
        return groups

    def losses(self, net: BoundaryNet, images: Tensor, masks: Tensor, of: Tensor | None = None) -> Losses:
        """Return the boundary loss, the displacement loss on top where there is a branch, and their means."""
        logits, field = (net(images), None) if net.displacement is None else net.with_field(images)
        labels = labels_on(masks, logits.shape[1:])
        with torch.autocast(logits.device.type, enabled=False):
            loss = boundary_loss(logits, labels, radius=self.radius, of=of)
            total, parts = loss.total, loss.means()
            if field is not None:
                parts |= displacement_loss(field, labels, radius=self.radius, of=of)
                total = total + parts.pop("displacement")
        return Losses(total, parts)

    def counts(self, net: BoundaryNet, masks: Tensor) -> Tensor:
        """Return the numbers of pairs of each kind."""
        return pair_counts(labels_on(masks, net.grid_size(*masks.shape[1:])), self.radius)

    @torch.inference_mode()
    def finish(self, net: BoundaryNet, data: TrainingImages, place: Place) -> None:
        """Store the displacement field's mean over the images at the mean scale of training, each weighing the same."""
        if net.displacement is None:
            return
        net.displacement.mean.zero_()
        total = torch.zeros(2, dtype=torch.float64)
        look = under_autocast(lambda images: net.with_field(images)[1], place.device, place.precision)
        looking = Looking.by(look, place.device, place.memory, "the mean displacement", "use a smaller --irn-side")
        batches = read_batches(
            data.samples, _MEAN_BATCH, max_pixels=data.max_pixels, workers=place.workers, longest=data.longest
        )
        scale, side = self.augmentation.mean
        with place.reporter.track("Mean displacement", len(data)) as progress:
            for batch in batches:
                rows, columns = enlarged_size((batch.images[0].shape[0], batch.images[0].shape[1]), scale, side=side)
                for part in parts_of(len(batch.images), looking.together(len(batch.images), rows * columns)):
                    field = look(enlarged(batch.images[part], scale, place.device, side=side))
                    total += field.mean(dim=(2, 3)).sum(dim=0).cpu().double()
                progress.advance(len(batch.samples))
        net.displacement.mean.copy_(total / len(data))
