from __future__ import annotations
from dataclasses import dataclass
from typing import Any
from collections.abc import Mapping
@dataclass(frozen=True)
class Estimate:
    seconds: Mapping[str, float]
    @property
    def total(self) -> float:
        return sum(self.seconds.values())
def estimate(stages: Any, left: Any, train: Any, held: Any, unl: Any) -> Estimate:
    return Estimate({})
def in_words(seconds: float) -> str:
    return ""
