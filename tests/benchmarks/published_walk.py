"""The random walk as published, written anew: a dense matrix, squared log2(steps) times. The reference for tests.

By default in double precision: in single precision, squaring alone is off by a ten-thousandth.
"""

from __future__ import annotations

import torch


def dense_transition(edges, radius=5, beta=10.0, dtype=torch.float64):
    """Return T (N, N) of an edge map (H, W): cells outside have boundary score 1, so that nothing passes there."""
    height, width = edges.shape
    reach = radius - 1
    padded = torch.ones(height + reach, width + 2 * reach)
    padded[:height, reach : reach + width] = edges
    count = height * width
    matrix = torch.zeros(count, count, dtype=dtype)
    cells = torch.arange(count).view(height, width)
    for dy in range(radius):
        for dx in range(-reach, radius):
            if dx * dx + dy * dy >= radius * radius or (dy == 0 and dx <= 0):
                continue
            largest = torch.zeros(height, width)
            length = (dx * dx + dy * dy) ** 0.5
            for y in range(dy + 1):
                for x in range(min(0, dx), max(0, dx) + 1):
                    if abs(dy * x - dx * y) / length < 1:
                        there = padded[y : y + height, reach + x : reach + x + width]
                        largest = torch.maximum(largest, there)
            y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            inside = (y + dy < height) & (x + dx >= 0) & (x + dx < width)
            first = cells[inside]
            second = first + dy * width + dx
            matrix[first, second] = (1 - largest[inside]).clamp(0, 1).to(dtype) ** beta
    matrix = matrix + matrix.t()
    matrix.fill_diagonal_(1)
    return matrix / matrix.sum(0, keepdim=True)


def dense_walk(edges, scores, steps=256, radius=5, beta=10.0, dtype=torch.float64):
    """Return scores (C, H, W) after a number of steps that is 0 or a power of 2, or few."""
    transition = dense_transition(edges, radius, beta, dtype)
    flat = scores.flatten(1).to(dtype)
    if steps & (steps - 1) == 0 and steps > 0:
        for _ in range(steps.bit_length() - 1):
            transition = transition @ transition
        return (flat @ transition).view_as(scores)
    for _ in range(steps):
        flat = flat @ transition
    return flat.view_as(scores)
