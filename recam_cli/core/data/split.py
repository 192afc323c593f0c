"""Which photographs are held out for validation where the user does not say: about a fifth of each class.

Groups of copies are held out whole or not at all. Within each class, the rarest first, groups come in the order of a
hash of their first id, and each is held out that brings the class nearer to its fifth: so that a photograph more moves
few of the others, and their order none. Photographs of nothing are a class of their own here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

HELD_OUT = 0.2
"""Share of each class that is held out."""
_NOTHING = -1

Counts = Counter[int]


def held_out(
    labels: Mapping[str, Sequence[int]], groups: Sequence[Sequence[str]] | None = None, share: float = HELD_OUT
) -> set[str]:
    """Return the ids to hold out.

    - No class loses its last photograph for training, and so one of a single group (or photograph) holds none out.
    - A class of two and more groups holds out at least one, unless each of them is another class's last.
    - A class holds out its share to within its largest group; more, where it comes with rarer classes that hold
      theirs out, and less, where other groups are the last of a class.
    - Neither the order of the ids nor of the groups matters.

    Args:
        labels: class ids by photograph; none for one of nothing.
        groups: photographs to keep on one side; those in none are alone. By default all are.
        share: of each class, in [0, 0.5].
    """
    units = _units(labels, groups)
    counts = [Counter(k for i in unit for k in (set(labels[i]) or {_NOTHING})) for unit in units]
    total: Counts = Counter()
    for count in counts:
        total.update(count)
    plan = _Plan(counts, total, share)
    for k in sorted(total, key=lambda k: (total[k], k)):
        plan.fill(k)
    return {i for unit, out in zip(units, plan.out, strict=True) if out for i in unit}


def _units(labels: Mapping[str, Sequence[int]], groups: Sequence[Sequence[str]] | None) -> list[list[str]]:
    """Return the groups in the order of their hashes."""
    grouped = [sorted(group) for group in groups or () if group]
    inside = {i for group in grouped for i in group}
    units = [*grouped, *([i] for i in labels if i not in inside)]
    return sorted(units, key=lambda unit: (hashlib.sha256(unit[0].encode("utf-8", "surrogatepass")).digest(), unit))


class _Plan:
    """Which groups are held out so far.

    Args:
        counts: photographs by class, of each group, in the order in which groups are chosen.
        total: of all groups.
        share: of each class to hold out.
    """

    def __init__(self, counts: Sequence[Counts], total: Counts, share: float) -> None:
        self._counts, self._total, self._share = counts, total, share
        self._held: Counts = Counter()
        self.out = [False] * len(counts)

    def fill(self, k: int) -> None:
        """Hold out groups of class `k` until it has its share."""
        mine = [u for u, count in enumerate(self._counts) if count[k]]
        for u in mine:  # first those that bring no other class beyond its share
            if all(self._nearer(u, c) for c in self._counts[u]):
                self._take(u)
        for u in mine:
            if self._nearer(u, k):
                self._take(u)
        if not self._held[k]:
            for u in sorted(mine, key=lambda u: self._counts[u][k]):
                if not self._held[k]:
                    self._take(u)

    def _nearer(self, u: int, k: int) -> bool:
        """Return whether class `k` is no farther from its share with group `u` held out, too."""
        return self._held[k] + self._counts[u][k] / 2 <= self._share * self._total[k]

    def _take(self, u: int) -> None:
        """Hold group `u` out unless a class would have nothing left to train on."""
        count = self._counts[u]
        if not self.out[u] and all(self._held[c] + n < self._total[c] for c, n in count.items()):
            self.out[u] = True
            self._held.update(count)
