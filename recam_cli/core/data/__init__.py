"""Data sets: each reader turns files on disk into the same `ImageSet` of samples."""
