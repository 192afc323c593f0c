"""Part of make-masks: what guides the walk of IRN — confident labels and the boundary network trained on them.

With --instances, instance maps are made of the masks that make-masks cuts from the walked seeds.
"""

from __future__ import annotations

from pathlib import Path

from recam_cli.core.hardware import choose_device
from recam_cli.core.models.boundary_files import boundary_digest, load_boundary
from recam_cli.core.models.branch_files import BOUNDARY
from recam_cli.core.models.irnet import BoundaryNet
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.settings.make_masks import MakeMasksSettings
from recam_cli.core.training.boundary_training import BoundaryLesson
from recam_cli.stages import confident_labels, instances, train_irn
from recam_cli.stages.mask_work import InstancesResult, MaskWork
from recam_cli.stages.random_walk import Guide


def check(settings: MakeMasksSettings) -> None:
    """Refuse what a part of IRN would refuse, before the first of them takes its time.

    Raises:
        UsageError: a value is outside its range.
        DataError: the weights given are not of a boundary network, or lack the branch that instance maps need.
    """
    BoundaryLesson.of(settings)
    if settings.irn_weights is not None:
        load_boundary(settings.irn_weights, choose_device(settings.device), displacement=settings.instances)


def guide(work: MaskWork, *, threshold: float, floor: float) -> Guide:
    """Return the boundary network, trained where it must be; errors as of its parts.

    Args:
        work: the call of make-masks.
        threshold: the seeds' own.
        floor: what is taken off the seeds' scores before the walk.
    """
    given, labels = work.settings.irn_weights, None
    if given is None or work.labels_walk:
        labels = confident_labels.run(work, threshold=threshold)
    if given is not None:
        net, weights = load_boundary(given, choose_device(work.settings.device)), given
    else:
        assert labels is not None
        net, weights = train_irn.run(work, labels=labels.folder)
    return Guide(BOUNDARY.name, net, weights, boundary_digest(weights), floor, labels=labels)


def tell_apart(work: MaskWork, by: Guide, masks: Path) -> InstancesResult:
    """Make the instance maps of finished `masks`, the folder of make-masks, by what guided their walk.

    Raises:
        RunError, DataError: as the part does.
    """
    assert isinstance(by.net, BoundaryNet)  # make-masks refuses --instances with any other walk
    source = "make-masks" + work.suffix
    inputs = {
        source: work.run.require(source).fingerprint,
        BOUNDARY.name: sha256_of(by.weights),
        "floor": f"{by.floor:.4f}",
    }
    return instances.run(work, net=by.net, masks=masks, floor=by.floor, inputs=inputs)
