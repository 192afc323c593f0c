"""Photographs that are copies of one another: the same file twice, re-encoded, scaled, a little cropped or brightened,
or of one burst. Whoever holds photographs out for validation keeps them on one side.

Two are alike if their stamps are, in brightness and in edges, after one was cropped at each side (up to some 7 %) or
shifted against the other so that they fit best. Correlations ignore brightness and contrast; the edges tell apart what
merely has the same light, as two landscapes have, and their coarse colours must agree, too. Which pairs are compared
is found by a correlation of these colours. Where many photographs are nearly alike, as of wares before one wall, groups
would grow by one resembling the next; so the first of each must at least show the same scene.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from recam_cli.core.data.photo_marks import SIDE, Mark, MarkFile, made_of, read_marks

ALIKE = 1.87
"""Least sum of the two correlations, 2 for equal stamps. Of real photographs, copies cropped by 5 % at each side reach
1.90 and more, one moved a little between two shots 1.90, another aircraft on the same spot 1.83, and photographs that
no one would call copies 1.6."""
MOST_COMPARED = 20_000
"""Of more photographs only those of one coarse pattern are compared: all pairs would take minutes."""
SAME_SCENE = 1.6
"""Least likeness of the first ones of two groups that become one."""
_CANDIDATE = 0.75
_COLOURS_APART, _GREY_LEVELS = 0.25, 6.0
"""Largest share that the difference of two photographs' colours may have of both; and what counts as no colour."""
_NEIGHBOURS = 8
_BLOCK = 512
_FLAT = 2.0
"""Standard deviation, in grey levels, below which a stamp shows nothing that could be compared."""
_EDGES = (0.0, 0.025, 0.05)
_SHIFTS = (-0.05, -0.025, 0.0, 0.025, 0.05)
_SLIGHTLY_ALIKE = 0.8

Window = tuple[float, float]


def near_copies(photos: Mapping[str, Path], *, cache: Path | None = None) -> list[list[str]]:
    """Return the ids in groups of photographs that are copies of one another; most are alone in theirs.

    The result follows from the photographs alone, not from their order nor from what `cache` remembers. One that cannot
    be decoded is a copy of none but the same bytes.

    Args:
        photos: file by id.
        cache: JSON file that remembers what was read, or None; one that cannot be written is none.

    Returns:
        Groups sorted by their first id, ids ascending.

    Raises:
        ResourceError: there is not enough memory.
    """
    ids = sorted(photos)
    files = [photos[i] for i in ids]
    known = MarkFile(cache)
    state = made_of(ids, files)
    several = known.groups(state)
    if several is None or not {i for group in several for i in group} <= photos.keys():
        marks = read_marks(files, known)
        several = [[ids[k] for k in group] for group in group_marks(marks) if len(group) > 1]
        known.keep_only(files)
        known.put_groups(state, several)
        known.save()
    alone = set(ids).difference(*several)
    return sorted([*several, *([i] for i in alone)])


def group_marks(marks: Sequence[Mark]) -> list[list[int]]:
    """Return the numbers of the marks in groups that are alike, directly or by others between them.

    A group's members are the same bytes, or lead to its first one by steps of likeness `ALIKE`, while any two groups
    that became one had first members of likeness `SAME_SCENE`.
    """
    groups = _Union(len(marks))
    same: dict[str, int] = {}
    for k, mark in enumerate(marks):
        if mark.sha256:
            groups.join(same.setdefault(mark.sha256, k), k)
    seen = [k for k, mark in enumerate(marks) if mark.grey is not None and mark.grey.std() >= _FLAT]
    if len(seen) > 1:
        _join_alike([marks[k] for k in seen], seen, groups)
    return groups.members()


def _join_alike(marks: Sequence[Mark], numbers: Sequence[int], groups: _Union) -> None:
    grey = {k: _grey(mark) for k, mark in zip(numbers, marks, strict=True)}
    colours = np.stack([mark.colour for mark in marks if mark.colour is not None]).astype(np.float32)
    hues = (colours - colours.mean(3, keepdims=True)).reshape(len(marks), -1)
    if len(marks) <= MOST_COMPARED:
        pairs = _neighbours(_unit(colours.reshape(len(marks), -1)))
    else:
        pairs = _of_one_pattern(np.stack([grey[k] for k in numbers]))
    for i, j in pairs:
        a, b = numbers[i], numbers[j]
        if groups.first(a) == groups.first(b) or not _same_hues(hues[i], hues[j]):
            continue
        if likeness(grey[a], grey[b]) >= ALIKE:
            first, other = groups.first(a), groups.first(b)
            if (first, other) == (a, b) or _same_scene(grey.get(first), grey.get(other)):
                groups.join(a, b)


def _same_scene(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is not None and b is not None and likeness(a, b) >= SAME_SCENE


def _same_hues(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two photographs' hues, float32 (192,), are alike, as they stay when one is brightened."""
    apart = float(((a - b) ** 2).sum())
    return apart <= _COLOURS_APART * float((a**2).sum() + (b**2).sum() + a.size * _GREY_LEVELS**2)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Return how alike two stamps are where they fit best: the correlation of brightness plus that of edges.

    Args:
        a: float32 (32, 32).
        b: float32 (32, 32).

    Returns:
        At most 2; -2 where not even the brightness is alike.
    """
    ways = [(a, b, _CROPS, _WHOLE), (b, a, _CROPS, _WHOLE), (a, b, _SHIFTED, _SHIFTED_BACK)]
    found = [_best_windows(*way) for way in ways]
    k = max(range(len(ways)), key=lambda k: found[k][2])
    wide, high, level = found[k]
    if level < _SLIGHTLY_ALIKE:
        return -2.0
    x, y, of_x, of_y = ways[k]
    return _fit(x, of_x[high], of_x[wide], _through(y, [of_y[high % len(of_y)]], [of_y[wide % len(of_y)]]))


def _fit(stamp: np.ndarray, vertical: Window, horizontal: Window, other: np.ndarray) -> float:
    """Return the likeness of `other`, (1, 32, 32), to `stamp` seen through windows close to these."""
    best = -2.0
    for step in (0.025, 0.0125, 0.00625):
        rows, columns = _close(vertical, step), _close(horizontal, step)
        found = _correlations(_through(stamp, rows, columns), other)
        at = int(found.argmax())
        best = max(best, float(found[at]))
        vertical, horizontal = rows[at // len(columns)], columns[at % len(columns)]
    return best


def _best_windows(
    a: np.ndarray, b: np.ndarray, of_a: Sequence[Window], of_b: Sequence[Window]
) -> tuple[int, int, float]:
    """Return the numbers of the horizontal and the vertical window that fit best at half the size, and how well."""
    x, y = (m.reshape(SIDE // 2, 2, SIDE // 2, 2).mean((1, 3)) for m in (a, b))
    seen = _unit(_through(x, of_a, of_a).reshape(len(of_a) ** 2, -1))
    other = _unit(_through(y, of_b, of_b).reshape(len(of_b) ** 2, -1))
    level = (seen * other).sum(1)
    at = int(level.argmax())
    return at % len(of_a), at // len(of_a), float(level[at])


def _through(stamp: np.ndarray, rows: Sequence[Window], columns: Sequence[Window]) -> np.ndarray:
    """Return the stamp within each pair of a vertical and a horizontal window: float32 (rows · columns, n, n)."""
    n = len(stamp)
    down, across = _resampling(n, tuple(rows)), _resampling(n, tuple(columns))
    half = (down.reshape(-1, n) @ stamp) @ across.reshape(-1, n).T
    return np.ascontiguousarray(half.reshape(len(rows), n, len(columns), n).swapaxes(1, 2)).reshape(-1, n, n)


_RESAMPLING: dict[tuple[int, tuple[Window, ...]], np.ndarray] = {}


def _resampling(n: int, windows: tuple[Window, ...]) -> np.ndarray:
    """Return float32 (windows, n, n): what enlarges the part [begin, end) of n cells to n cells, by area."""
    found = _RESAMPLING.get((n, windows))
    if found is None:
        edges = np.array([np.linspace(begin * n, end * n, n + 1) for begin, end in windows])
        cells = np.arange(n)
        upper = np.minimum(edges[:, 1:, None], cells + 1)
        lower = np.maximum(edges[:, :-1, None], cells)
        found = np.maximum(upper - lower, 0).astype(np.float32)
        found /= found.sum(2, keepdims=True)
        _RESAMPLING[n, windows] = found
    return found


def _close(window: Window, step: float) -> list[Window]:
    """Return the windows whose ends lie up to `step` aside."""
    begins = [min(max(round(window[0] + d, 6), 0.0), 0.1) for d in (0.0, -step, step)]
    ends = [max(min(round(window[1] + d, 6), 1.0), 0.9) for d in (0.0, -step, step)]
    return list(dict.fromkeys(product(begins, ends)))


def _correlations(stamps: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return float32 (n,): the correlation of brightness plus that of edges, of (n, s, s) with (1, s, s)."""
    stamps, other = _smooth(stamps), _smooth(other)
    levels = _unit(stamps.reshape(len(stamps), -1)) @ _unit(other.reshape(1, -1))[0]
    edges = _unit(_edges(stamps), centred=False) @ _unit(_edges(other), centred=False)[0]
    total: np.ndarray = levels + edges
    return total


def _smooth(stamps: np.ndarray) -> np.ndarray:
    """Return the means of 2×2 neighbours: what cropping blurs says little."""
    rows = stamps[:, 1:] + stamps[:, :-1]
    result: np.ndarray = (rows[:, :, 1:] + rows[:, :, :-1]) / 4
    return result


def _edges(stamps: np.ndarray) -> np.ndarray:
    across, down = np.diff(stamps, axis=2), np.diff(stamps, axis=1)
    return np.concatenate([across.reshape(len(stamps), -1), down.reshape(len(stamps), -1)], axis=1)


def _unit(rows: np.ndarray, *, centred: bool = True) -> np.ndarray:
    if centred:
        rows = rows - rows.mean(1, keepdims=True)
    lengths: np.ndarray = np.linalg.norm(rows, axis=1, keepdims=True)
    result: np.ndarray = rows / np.maximum(lengths, 1e-6)
    return result


def _grey(mark: Mark) -> np.ndarray:
    assert mark.grey is not None
    return mark.grey.astype(np.float32)


def _neighbours(colours: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield each photograph with the most similar ones after it, closest first, in blocks of bounded memory."""
    n = len(colours)
    for begin in range(0, n - 1, _BLOCK):
        end = min(begin + _BLOCK, n - 1)
        close = colours[begin:end] @ colours[begin + 1 :].T
        close[np.arange(begin + 1, n)[None] <= np.arange(begin, end)[:, None]] = -1
        many = min(_NEIGHBOURS, close.shape[1])
        for row in np.flatnonzero((close >= _CANDIDATE).any(1)):
            best = np.argpartition(-close[row], many - 1)[:many]
            for column in best[np.argsort(-close[row, best], kind="stable")]:
                if close[row, column] >= _CANDIDATE:
                    yield begin + int(row), begin + 1 + int(column)


def _of_one_pattern(grey: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield neighbours among the photographs whose 56 coarse steps from left to right have the same signs."""
    coarse = grey.reshape(len(grey), 8, SIDE // 8, 8, SIDE // 8).mean((2, 4))
    patterns = np.packbits(np.diff(coarse, axis=2).reshape(len(grey), -1) > 0, axis=1)
    buckets: dict[bytes, list[int]] = {}
    for k, pattern in enumerate(patterns):
        buckets.setdefault(pattern.tobytes(), []).append(k)
    for bucket in buckets.values():
        for i, a in enumerate(bucket):
            yield from ((a, b) for b in bucket[i + 1 : i + 1 + _NEIGHBOURS])


class _Union:
    """Groups that grow together (union-find); the least member stands for its group."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def first(self, k: int) -> int:
        """Return the least member of `k`'s group."""
        while self._parent[k] != k:
            self._parent[k] = self._parent[self._parent[k]]
            k = self._parent[k]
        return k

    def join(self, a: int, b: int) -> None:
        low, high = sorted((self.first(a), self.first(b)))
        self._parent[high] = low

    def members(self) -> list[list[int]]:
        groups: dict[int, list[int]] = {}
        for k in range(len(self._parent)):
            groups.setdefault(self.first(k), []).append(k)
        return list(groups.values())


_CROPS: tuple[Window, ...] = tuple((begin, 1 - end) for begin, end in product(_EDGES, _EDGES))
_WHOLE: tuple[Window, ...] = ((0.0, 1.0),)
_SHIFTED: tuple[Window, ...] = tuple((max(0.0, s), 1 - max(0.0, -s)) for s in _SHIFTS)
_SHIFTED_BACK: tuple[Window, ...] = tuple((max(0.0, -s), 1 - max(0.0, s)) for s in _SHIFTS)
