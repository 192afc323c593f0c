"""recam: from photographs with image-level labels to pixel masks."""

__version__ = "0.1.0"
