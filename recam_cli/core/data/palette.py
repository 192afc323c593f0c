"""The VOC palette: colours for mask values 0..255."""

from __future__ import annotations

import numpy as np


def voc_palette() -> np.ndarray:
    """Return the PASCAL VOC colour map, uint8 (256, 3): row v is the RGB colour of mask value v."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    for value in range(256):
        rest = value
        for bit in range(7, -1, -1):
            for channel in range(3):
                colours[value, channel] |= ((rest >> channel) & 1) << bit
            rest >>= 3
    return colours


PALETTE = voc_palette()
