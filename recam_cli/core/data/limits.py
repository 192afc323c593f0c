"""Bounds on what a data set may contain; apart from the readers so that settings need not import them."""

MAX_PIXELS = 100_000_000
"""Largest accepted image, in pixels."""
MAX_CLASSES = 254
"""Mask values 1..254 name classes; 0 is background and 255 ignore."""
