"""Run directories: the manifest, whole-file writes and the lock."""
