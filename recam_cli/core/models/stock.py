"""Stock torchvision classifiers with their ImageNet head, as sources of plain CAMs without any training."""

from __future__ import annotations

import torch

from recam_cli.core.cams.explain import MappedClassifier
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.models.backbones import BACKBONES, build_backbone, head_weight
from recam_cli.core.models.torchvision_gate import torchvision
from recam_cli.core.models.weights import find_weights


def stock_classifier(backbone: str, source: str, device: torch.device) -> MappedClassifier:
    """Take a torchvision classifier apart into backbone and ImageNet head.

    Args:
        backbone: registry name; the network needs global average pooling before one linear layer.
        source: "imagenet" or a file, as `weights.find_weights`.
        device: where it computes.

    Raises:
        UsageError: the network has no such head (VGG), or `source` is neither file nor keyword.
        DataError: the weights cannot be read, are another network's, or come without the head.
    """
    if backbone.startswith("vgg"):
        raise UsageError(
            f"--backbone {backbone} has no global average pooling before its classifier, so it has no CAM",
            remedy="Choose a ResNet or mobilenet_v2",
        )
    if source == "none":
        raise UsageError("--weights none: an untrained network finds nothing", remedy="Say --weights imagenet")
    weights = find_weights(backbone, source)
    state = BACKBONES[backbone].converted(weights.state or {})
    weight = head_weight(state)
    if weights.state is None or weight is None:
        raise DataError(
            f"{weights.origin}: no ImageNet head (fc.weight or classifier.1.weight) in these weights",
            remedy="Name weights of the whole network",
        )
    try:
        # Dilated in full: the head has seen features of exactly these receptive fields.
        network = build_backbone(backbone, stride=16, dilation="full", state=weights.state)
    except ValueError as error:
        raise DataError(f"{weights.origin}: {error}", remedy="Choose the fitting --backbone") from None
    if weight.shape[1] != network.out_channels:
        raise DataError(
            f"{weights.origin}: its head takes {weight.shape[1]} features, {backbone} gives {network.out_channels}"
        )
    network.freeze_statistics()
    network = network.eval().to(device)
    head = {key: state.get(key) for key in ("fc.bias", "classifier.1.bias")}
    bias = next((tensor for tensor in head.values() if tensor is not None), None)
    return MappedClassifier(
        features=network,
        classes=imagenet_names(backbone, len(weight)),
        map_weight=weight.to(device),
        score_weight=weight.to(device),
        score_bias=None if bias is None else bias.to(device),
        exclusive=True,
    )


def imagenet_names(backbone: str, count: int) -> tuple[str, ...]:
    """Return torchvision's names of the 1000 ImageNet classes; of another number of classes, numbered names."""
    # Weights of another source list the same classes in the same order.
    reference = BACKBONES[backbone].reference or BACKBONES["mobilenet_v2"].reference
    entry = getattr(torchvision().models, reference).IMAGENET1K_V1
    names = tuple(str(name) for name in entry.meta["categories"])
    return names if len(names) == count else tuple(f"class {k}" for k in range(count))
