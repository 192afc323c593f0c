"""Settings of `make-masks`: from seeds to pseudo masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recam_cli.core.settings.declare import setting
from recam_cli.core.settings.groups import (
    DATA,
    HARDWARE,
    MODEL,
    OUTPUT,
    DataSettings,
    DeviceSettings,
    HardwareSettings,
    MemorySettings,
    SeedSettings,
    SnapshotSettings,
    WorkSettings,
)
from recam_cli.core.settings.irn import (
    BoundarySettings,
    ConfidentSettings,
    DisplacementSettings,
    GroupingSettings,
    WalkCutSettings,
    WalkSettings,
)
from recam_cli.core.settings.psa import AffinitySettings, AlphaSettings, BackgroundWalkSettings
from recam_cli.core.settings.self_training import SelfTrainingSettings, VoteSettings

CRF = "Dense CRF"


@dataclass(frozen=True, kw_only=True)
class CrfBackendSettings:
    """Which dense CRF."""

    crf: Literal["auto", "native", "pydensecrf"] = setting(
        "auto",
        "The dense CRF's implementation; auto: native, where numba is installed. Native runs on a CUDA GPU where "
        "--device is one.",
        panel=CRF,
    )


@dataclass(frozen=True, kw_only=True)
class CrfSettings(CrfBackendSettings):
    """The dense CRF of masks and what it starts from."""

    unary: Literal["hard", "soft"] = setting(
        "hard", "What the CRF starts from: the seed's labels (as published), or its scores.", panel=CRF
    )
    crf_certainty: float = setting(0.7, "Belief in a hard label; between 0 and 1.", panel=CRF, above=0.0, maximum=0.999)
    soft_scaling: Literal["softmax", "share"] = setting(
        "softmax", "How soft scores become probabilities: softmax(s/temperature), or s/sum(s).", panel=CRF
    )
    soft_temperature: float = setting(0.2, "Temperature of that softmax.", panel=CRF, above=0.0)
    crf_gaussian_sxy: float = setting(3.0, "CRF smoothness: standard deviation in pixels.", panel=CRF, above=0.0)
    crf_gaussian_compat: float = setting(3.0, "CRF smoothness: weight.", panel=CRF, minimum=0.0)
    crf_bilateral_sxy: float = setting(50.0, "CRF appearance: standard deviation in pixels.", panel=CRF, above=0.0)
    crf_bilateral_srgb: float = setting(
        5.0, "CRF appearance: standard deviation in colour (0..255).", panel=CRF, above=0.0
    )
    crf_bilateral_compat: float = setting(10.0, "CRF appearance: weight.", panel=CRF, minimum=0.0)
    crf_iterations: int = setting(10, "Mean-field steps of the CRF.", panel=CRF, minimum=1, maximum=1000)


@dataclass(frozen=True, kw_only=True)
class SplitSettings(WorkSettings, DataSettings):
    """Which seeds are meant."""

    split: str = setting("train", "The split whose seeds are refined.", panel=DATA)
    method: Literal["run", "cam", "recam"] = setting(
        "run", "Which seeds: what the classifier was trained as, or cam for its plain CAM.", panel=MODEL
    )


@dataclass(frozen=True, kw_only=True)
class ConfidentLabelsSettings(SplitSettings, CrfBackendSettings, ConfidentSettings):
    """All that confident labels depend on, apart from the seeds' threshold; their CRF is always the published one.

    Masks refined from soft scores fit better, but teach worse: on photographs, 4 points of mIoU after the walk.
    """


@dataclass(frozen=True, kw_only=True)
class TrainIrnSettings(
    SnapshotSettings, SplitSettings, BoundarySettings, HardwareSettings, MemorySettings, SeedSettings
):
    """All that the boundary network depends on, apart from its labels."""


@dataclass(frozen=True, kw_only=True)
class TrainBranchesSettings(TrainIrnSettings, DisplacementSettings):
    """All that the boundary network depends on where its displacement branch is trained, too."""


@dataclass(frozen=True, kw_only=True)
class PsaLabelsSettings(SplitSettings, CrfBackendSettings, AlphaSettings):
    """All that PSA's confident labels depend on, apart from what is taken off the seeds; their CRF is the published."""


@dataclass(frozen=True, kw_only=True)
class TrainPsaSettings(
    SnapshotSettings, SplitSettings, AffinitySettings, HardwareSettings, MemorySettings, SeedSettings
):
    """All that the affinity network depends on, apart from its labels."""


@dataclass(frozen=True, kw_only=True)
class RandomWalkSettings(SplitSettings, WalkSettings, HardwareSettings, MemorySettings):
    """All that walked seeds depend on, apart from seeds, the network that guides them and what goes with it."""


@dataclass(frozen=True, kw_only=True)
class SelfTaughtSettings(
    SnapshotSettings, SplitSettings, SelfTrainingSettings, MemorySettings, HardwareSettings, SeedSettings
):
    """All that the segmenter of self-training depends on, apart from the masks it learns."""


@dataclass(frozen=True, kw_only=True)
class VotedSettings(SplitSettings, VoteSettings, MemorySettings, HardwareSettings):
    """All that joined seeds depend on, apart from walked seeds and that segmenter."""


@dataclass(frozen=True, kw_only=True)
class InstancesSettings(RandomWalkSettings, GroupingSettings):
    """All that instance maps depend on, apart from seeds, network, walked seeds and thresholds."""


@dataclass(frozen=True, kw_only=True)
class CutSettings(CrfSettings, SplitSettings):
    """All that masks depend on, apart from walked seeds."""

    threshold: str = setting(
        "auto",
        "The seeds' background score, 0 to 1; auto chooses it from the seeds alone, without ground truth.",
        panel=MODEL,
    )
    refine: Literal["irn", "irn+crf", "psa", "psa+crf", "crf", "none"] = setting(
        "irn",
        "irn: random walk within learned boundaries; psa: over learned affinities; irn+crf, psa+crf: and the dense CRF "
        "after it; crf: the dense CRF alone; none: the seed cut at the threshold.",
        panel=MODEL,
    )
    ignore_below: float = setting(
        0.0,
        "Pixels of a lower confidence (the winner's share, 0 to 1) become 255, which train-seg skips; 0: none.",
        panel=MODEL,
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class MasksSettings(
    SeedSettings,
    DeviceSettings,
    VoteSettings,
    MemorySettings,
    WalkCutSettings,
    WalkSettings,
    BoundarySettings,
    ConfidentSettings,
    CutSettings,
):
    """How seeds are cut at a threshold and refined."""

    workers: int | None = setting(
        None,
        "Processes that refine; without it one per core, 0: in the main process.",
        panel=HARDWARE,
        minimum=0,
        maximum=256,
    )
    overwrite: bool = setting(
        False,
        "Where the masks there were made with other settings: move them to masks.old-<n> and begin anew.",
        panel=OUTPUT,
    )


@dataclass(frozen=True, kw_only=True)
class PsaMasksSettings(
    SeedSettings,
    DeviceSettings,
    VoteSettings,
    MemorySettings,
    BackgroundWalkSettings,
    AffinitySettings,
    AlphaSettings,
    WalkCutSettings,
    WalkSettings,
    CutSettings,
):
    """As `MasksSettings`, where affinities guide the walk."""


@dataclass(frozen=True, kw_only=True)
class MakeMasksSettings(SnapshotSettings, GroupingSettings, DisplacementSettings, PsaMasksSettings, MasksSettings):
    """Both, and whether and how objects of one class are told apart."""
