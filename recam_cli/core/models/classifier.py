"""The ReCAM classifier: a backbone and two bias-free linear heads over its features (CVPR 2022, §3).

FC1 is the multi-label head of ordinary CAM (sigmoid, BCE). FC2 classifies the features that one class's map selects
(softmax, one class per map). Both are K×C; neither has a bias.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recam_cli.core.models.backbones import Backbone


class Classifier(nn.Module):
    """Backbone, FC1 and FC2.

    Args:
        backbone: maps images to (B, C, h, w).
        num_classes: K, without background.
    """

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_classes = num_classes
        self.fc1 = nn.Linear(backbone.out_channels, num_classes, bias=False)
        self.fc2 = nn.Linear(backbone.out_channels, num_classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return multi-label logits (B, K) of normalised images (B, 3, H, W)."""
        logits: Tensor = self.fc1(self.backbone(images).mean(dim=(2, 3)))
        return logits

    def seed_weights(self, kind: str) -> Tensor:
        """Return the K×C weights that seeds are read with (recipe of the published code).

        Args:
            kind: "fc1" (plain CAM; published for COCO), "fc2", "product" (FC1 ⊙ FC2; published for VOC) or "sum".
        """
        w1, w2 = self.fc1.weight.detach(), self.fc2.weight.detach()
        choices = {"fc1": w1, "fc2": w2, "product": w1 * w2, "sum": w1 + w2}
        return choices[kind]

    def reset_heads(self, generator: torch.Generator) -> None:
        """Draw both heads anew from `generator`, uniformly within ±1/√C (torch's default for 1×1 convolutions)."""
        bound = self.backbone.out_channels**-0.5
        with torch.no_grad():
            for head in (self.fc1, self.fc2):
                head.weight.copy_((torch.rand(head.weight.shape, generator=generator) * 2 - 1) * bound)
