"""Settings of the parts of PSA that IRN has not: confident labels by background exponents, the affinity network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recam_cli.core.settings.declare import setting

PSA = "PSA"


@dataclass(frozen=True, kw_only=True)
class AlphaSettings:
    """What the affinity network learns from."""

    psa_low_alpha: float = setting(
        4.0, "What is object beside a background of (1 - largest map)^this is so for sure.", panel=PSA, above=0
    )
    psa_high_alpha: float = setting(
        32.0, "What is background beside an object with this exponent is so for sure.", panel=PSA, above=0
    )


@dataclass(frozen=True, kw_only=True)
class AffinitySettings:
    """The affinity network and its training."""

    psa_weights: Path | None = setting(
        None,
        "A trained affinity network (psa.safetensors of a run); skips training, and labels unless they walk.",
        panel=PSA,
    )
    psa_init: str = setting("weights", "Its frozen backbone; as --irn-init.", panel=PSA)
    psa_epochs: int = setting(8, "Passes over the images.", panel=PSA, minimum=1, maximum=10_000)
    psa_batch_size: int = setting(8, "Images per batch.", panel=PSA, minimum=1, maximum=4096)
    psa_lr: float = setting(0.1, "Learning rate of what learns beside the frozen backbone.", panel=PSA, minimum=0)
    psa_crop: int = setting(448, "Side of the training crop, in pixels.", panel=PSA, minimum=32, maximum=4096)


@dataclass(frozen=True, kw_only=True)
class BackgroundWalkSettings:
    """How the background walks."""

    psa_walk_alpha: float = setting(
        16.0,
        "The background that walks beside the classes is (1 - largest map)^this; not used where labels walk.",
        panel=PSA,
        above=0,
    )
