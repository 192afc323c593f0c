from __future__ import annotations

import torch

from recam_cli.core.affinity.label_pairs import grid_pairs, label_pairs


def test_a_pair_is_of_one_kind_at_most():
    labels = torch.tensor([0, 1, 2, 255])[torch.randint(0, 4, (2, 12, 14))]
    pairs = label_pairs(labels, grid_pairs(12, 14, 5))
    assert (sum(kind.long() for kind in pairs) <= 1).all()
    assert all(kind.any() for kind in pairs)
