"""Affinity between pixels: pairs, path maxima, the networks that learn it, and the random walk that spreads seeds."""
