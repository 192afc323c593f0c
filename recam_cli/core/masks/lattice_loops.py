"""The compiled loops of the permutohedral lattice; `lattice.py` says what they are for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from recam_cli.core.jit import jit

_OFFSET = 1 << 20
"""Added to lattice coordinates, so that they are positive and 21 bits hold each."""
_BITS = 21
_CHUNK = 64
"""Points whose softmax is taken together; their logits stay in the nearest cache."""


@jit
def _pack(key: np.ndarray, dimensions: int) -> tuple[int, int]:
    """Return the lattice point's first coordinates as two integers, three coordinates in each at most."""
    high, low = 0, 0
    for i in range(dimensions):
        if i < 3:
            high = (high << _BITS) | (key[i] + _OFFSET)
        else:
            low = (low << _BITS) | (key[i] + _OFFSET)
    return high, low


@jit
def _slot(high: int, low: int, mask: int) -> int:
    mixed: Any = np.uint64(high) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(low) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    slot: Any = np.int64((mixed >> np.uint64(32)) & np.uint64(mask))
    return slot  # type: ignore[no-any-return]


@jit
def _find(high: int, low: int, highs: np.ndarray, lows: np.ndarray, table: np.ndarray) -> int:
    """Return the table's slot of the lattice point, or the free one where it would go."""
    mask = len(table) - 1
    slot = _slot(high, low, mask)
    while table[slot] >= 0 and (highs[table[slot]] != high or lows[table[slot]] != low):
        slot = (slot + 1) & mask
    return slot


@jit
def _grown(table: np.ndarray, highs: np.ndarray, lows: np.ndarray, total: int) -> np.ndarray:
    bigger = np.full(2 * len(table), -1, np.int32)
    for i in range(total):
        bigger[_find(highs[i], lows[i], highs, lows, bigger)] = i
    return bigger


@jit
def _simplex(
    feature: np.ndarray,
    scales: tuple[Any, ...],
    elevated: np.ndarray,
    nearest: np.ndarray,
    rank: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Find the simplex around one point: its nearest remainder-0 point, the ranks of the rest, barycentric weights."""
    d = len(scales)
    tail = np.float32(0)
    for j in range(d, 0, -1):
        scaled = feature[j - 1] * scales[j - 1]
        elevated[j] = tail - j * scaled
        tail += scaled
    elevated[0] = tail
    total = 0
    for i in range(d + 1):
        below = math.floor(elevated[i] / (d + 1)) * (d + 1)
        above = below + d + 1
        nearest[i] = above if above - elevated[i] < elevated[i] - below else below
        total += nearest[i] // (d + 1)
        rank[i] = 0
        weights[i] = 0
    weights[d + 1] = 0
    for i in range(d):
        for j in range(i + 1, d + 1):
            if elevated[i] - nearest[i] < elevated[j] - nearest[j]:
                rank[i] += 1
            else:
                rank[j] += 1
    for i in range(d + 1):
        rank[i] += total
        if rank[i] < 0:
            rank[i] += d + 1
            nearest[i] += d + 1
        elif rank[i] > d:
            rank[i] -= d + 1
            nearest[i] -= d + 1
    for i in range(d + 1):
        share = (elevated[i] - nearest[i]) / (d + 1)
        weights[d - rank[i]] += share
        weights[d - rank[i] + 1] -= share
    weights[0] += 1 + weights[d + 1]


@jit
def place(
    features: np.ndarray, scales: tuple[Any, ...], vertices: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fill each point's `vertices` and `weights`; return the vertices' packed coordinates (twice (M,)) and their table.

    The table has room for at least twice as many vertices; free slots hold -1. `scales`, one per feature, is a tuple
    because its length is then known when this is compiled, and loops over features are unrolled.
    """
    count, d = len(features), len(scales)
    elevated, nearest = np.empty(d + 1, np.float32), np.empty(d + 1, np.int64)
    rank, key, bary = np.empty(d + 1, np.int64), np.empty(d, np.int64), np.empty(d + 2, np.float32)
    highs, lows = np.empty(count * (d + 1), np.int64), np.empty(count * (d + 1), np.int64)
    table = np.full(1 << 12, -1, np.int32)
    total = 0
    for p in range(count):
        _simplex(features[p], scales, elevated, nearest, rank, bary)
        for remainder in range(d + 1):
            for i in range(d):
                key[i] = nearest[i] + (remainder if rank[i] <= d - remainder else remainder - d - 1)
            high, low = _pack(key, d)
            slot = _find(high, low, highs, lows, table)
            if table[slot] < 0:
                highs[total], lows[total] = high, low
                table[slot] = total
                total += 1
                vertices[p, remainder] = total - 1
                if 2 * total > len(table):
                    table = _grown(table, highs, lows, total)
            else:
                vertices[p, remainder] = table[slot]
            weights[p, remainder] = bary[remainder]
    return highs[:total].copy(), lows[:total].copy(), table


@jit
def find_neighbours(
    first: int,
    end: int,
    highs: np.ndarray,
    lows: np.ndarray,
    table: np.ndarray,
    dimensions: int,
    direction: int,
    neighbours: np.ndarray,
) -> None:
    """Fill `neighbours[direction]` of the vertices first..end-1, and of those that they are neighbours of."""
    # One step back along the direction: -1 in every coordinate, and +d in its own, which the last direction has not.
    key = np.empty(dimensions, np.int64)
    for vertex in range(first, end):
        for i in range(dimensions):
            packed = highs[vertex] if i < 3 else lows[vertex]
            behind = (min(dimensions, 3) if i < 3 else dimensions) - 1 - i
            key[i] = ((packed >> (_BITS * behind)) & ((1 << _BITS) - 1)) - _OFFSET - 1
        if direction < dimensions:
            key[direction] += dimensions + 1
        high, low = _pack(key, dimensions)
        other = table[_find(high, low, highs, lows, table)]
        if other >= 0:
            neighbours[direction, vertex, 0] = other
            neighbours[direction, other, 1] = vertex


@jit
def around_vertices(vertices: np.ndarray, weights: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the points by vertex; return starts (M + 1,), points and their weights (N·(d + 1),)."""
    count, corners = vertices.shape
    starts = np.zeros(total + 1, np.int32)
    for p in range(count):
        for c in range(corners):
            starts[vertices[p, c] + 1] += 1
    for v in range(total):
        starts[v + 1] += starts[v]
    free = starts[:-1].copy()
    points = np.empty(count * corners, np.uint32)
    shares = np.empty(count * corners, np.float32)
    for p in range(count):
        for c in range(corners):
            slot = free[vertices[p, c]]
            free[vertices[p, c]] += 1
            points[slot], shares[slot] = p, weights[p, c]
    return starts, points, shares


Four = tuple[Any, Any, Any, Any]


@jit
def _plus(total: Four, weight: Any, values: np.ndarray, row: int, lane: int) -> Four:
    """Return `total` plus `weight` times the four lanes of a row that begin at `lane`."""
    a, b, c, d = total
    a += weight * values[row, lane]
    b += weight * values[row, lane + 1]
    c += weight * values[row, lane + 2]
    d += weight * values[row, lane + 3]
    return a, b, c, d


@jit
def _put(total: Four, target: np.ndarray, row: int, lane: int) -> None:
    target[row, lane], target[row, lane + 1], target[row, lane + 2], target[row, lane + 3] = total


@jit
def _row(values: np.ndarray, row: int, lane: int) -> Four:
    return values[row, lane], values[row, lane + 1], values[row, lane + 2], values[row, lane + 3]


@jit
def _blurred(values: np.ndarray, row: int, before: int, after: int, lane: int) -> Four:
    """Return four lanes of a row plus half of those of its neighbours."""
    a, b, c, d = _row(values, row, lane)
    e, f, g, h = _row(values, before, lane)
    i, j, k, m = _row(values, after, lane)
    half = np.float32(0.5)
    return a + half * (e + i), b + half * (f + j), c + half * (g + k), d + half * (h + m)


@jit
def _scaled_onto(total: Four, scale: Any, target: np.ndarray, row: int, lane: int) -> Four:
    """Return four lanes of the target's row plus `scale` times `total`."""
    a, b, c, d = _row(target, row, lane)
    return a + scale * total[0], b + scale * total[1], c + scale * total[2], d + scale * total[3]


@jit
def scatter(
    vertices: np.ndarray, weights: np.ndarray, values: np.ndarray, target: np.ndarray, lanes: tuple[Any, ...]
) -> None:
    """Sum the points' values at all vertices.

    `lanes`, here and below, is any tuple of as many items as rows have values, 4, 8 or 12: their number is then known
    when this is compiled, and sums stay in registers. A row is read before any of it is written: the compiler cannot
    know that source and target are apart, and would else do one value at a time.
    """
    target[:] = 0
    for p in range(len(vertices)):
        for corner in range(vertices.shape[1]):
            v, w = vertices[p, corner], weights[p, corner]
            x = y = z = _plus(_row(target, v, 0), w, values, p, 0)
            if len(lanes) > 4:
                y = _plus(_row(target, v, 4), w, values, p, 4)
            if len(lanes) > 8:
                z = _plus(_row(target, v, 8), w, values, p, 8)
            _put(x, target, v, 0)
            if len(lanes) > 4:
                _put(y, target, v, 4)
            if len(lanes) > 8:
                _put(z, target, v, 8)


@jit
def splat(
    first: int,
    end: int,
    starts: np.ndarray,
    points: np.ndarray,
    shares: np.ndarray,
    values: np.ndarray,
    target: np.ndarray,
    lanes: tuple[Any, ...],
) -> None:
    """As `scatter` at the vertices first..end-1 only, for several threads: the same sums in the same order."""
    nothing = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for v in range(first, end):
        x = y = z = nothing
        for slot in range(starts[v], starts[v + 1]):
            p, w = points[slot], shares[slot]
            x = _plus(x, w, values, p, 0)
            if len(lanes) > 4:
                y = _plus(y, w, values, p, 4)
            if len(lanes) > 8:
                z = _plus(z, w, values, p, 8)
        _put(x, target, v, 0)
        if len(lanes) > 4:
            _put(y, target, v, 4)
        if len(lanes) > 8:
            _put(z, target, v, 8)


@jit
def blur(
    first: int, end: int, neighbours: np.ndarray, values: np.ndarray, target: np.ndarray, lanes: tuple[Any, ...]
) -> None:
    """Blur the vertices first..end-1 along one direction."""
    for v in range(first, end):
        m, n = neighbours[v, 0], neighbours[v, 1]
        x = y = z = _blurred(values, v, m, n, 0)
        if len(lanes) > 4:
            y = _blurred(values, v, m, n, 4)
        if len(lanes) > 8:
            z = _blurred(values, v, m, n, 8)
        _put(x, target, v, 0)
        if len(lanes) > 4:
            _put(y, target, v, 4)
        if len(lanes) > 8:
            _put(z, target, v, 8)


@jit
def slice_into(
    first: int,
    end: int,
    vertices: np.ndarray,
    weights: np.ndarray,
    values: np.ndarray,
    scale: float,
    target: np.ndarray,
    lanes: tuple[Any, ...],
) -> None:
    """Add what the points first..end-1 read at their vertices, times `scale`."""
    nothing = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for p in range(first, end):
        x = y = z = nothing
        for corner in range(vertices.shape[1]):
            v, w = vertices[p, corner], weights[p, corner]
            x = _plus(x, w, values, v, 0)
            if len(lanes) > 4:
                y = _plus(y, w, values, v, 4)
            if len(lanes) > 8:
                z = _plus(z, w, values, v, 8)
        _put(_scaled_onto(x, scale, target, p, 0), target, p, 0)
        if len(lanes) > 4:
            _put(_scaled_onto(y, scale, target, p, 4), target, p, 4)
        if len(lanes) > 8:
            _put(_scaled_onto(z, scale, target, p, 8), target, p, 8)


@jit
def _exp(values: np.ndarray, count: int, bits: np.ndarray, powers: np.ndarray) -> None:
    """Replace the first `count` values, all ≤ 0, by e^value, to a few units in the last place.

    `powers` is `bits`, int32, seen as float32: the exponent of 2^n is written there, and read as a number. Both loops
    fill whole vector registers; the library's exponential, one value at a time, would take most of the time.
    """
    for k in range(count):
        value = max(values[k], np.float32(-87))
        power = np.int32(value * np.float32(1.442695041) - np.float32(0.5))
        values[k] = value - power * np.float32(0.693359375) - power * np.float32(-2.12194440e-4)
        bits[k] = (power + np.int32(127)) << np.int32(23)
    for k in range(count):
        rest = values[k]
        series = np.float32(1 / 720)
        for divisor in (120, 24, 6, 2, 1, 1):
            series = series * rest + np.float32(1 / divisor)
        values[k] = series * powers[k]


@jit
def softmax(
    first: int,
    end: int,
    lane: int,
    energies: np.ndarray,
    messages: np.ndarray,
    of_all: np.ndarray,
    target: np.ndarray,
) -> None:
    """Write softmax(messages - energies) of the points first..end-1, the last label's message being what is left.

    Points are taken `_CHUNK` at a time, label by label, so that several are computed at once.
    """
    last, width = len(energies) - 1, messages.shape[2]
    logits = np.empty((last + 1, _CHUNK), np.float32)
    rest, top, total = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    bits = np.empty(_CHUNK, np.int32)
    powers = bits.view(np.float32)
    for begin in range(first, end, _CHUNK):
        count = min(_CHUNK, end - begin)
        for k in range(count):
            rest[k], top[k], total[k] = of_all[begin + k], np.float32(-np.inf), np.float32(0)
        for i in range(last):
            block, column = divmod(lane + i, width)
            for k in range(count):
                message = messages[block, begin + k, column]
                rest[k] -= message
                logits[i, k] = message - energies[i, begin + k]
                top[k] = max(top[k], logits[i, k])
        for k in range(count):
            logits[last, k] = rest[k] - energies[last, begin + k]
            top[k] = max(top[k], logits[last, k])
        for i in range(last + 1):
            for k in range(count):
                logits[i, k] -= top[k]
            _exp(logits[i], count, bits, powers)
            for k in range(count):
                total[k] += logits[i, k]
        for k in range(count):
            total[k] = np.float32(1) / total[k]
        for i in range(last):
            block, column = divmod(lane + i, width)
            for k in range(count):
                target[block, begin + k, column] = logits[i, k] * total[k]
