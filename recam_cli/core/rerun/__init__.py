"""Repeating a run: what its manifest asks for, and what differs afterwards."""
