"""import-weights: a foreign file of weights becomes safetensors, once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recam_cli.core.models.importing import Imported, import_weights
from recam_cli.core.models.weights import CHECKPOINTS
from recam_cli.core.reporter import Reporter
from recam_cli.core.settings.import_weights import ImportWeightsSettings
from recam_cli.core.settings.resolve import Resolved


@dataclass(frozen=True)
class ImportWeightsResult:
    """What was imported, and the file it came from."""

    source: Path
    imported: Imported

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        paths = {"source": self.source, "path": self.imported.path, "kept": self.imported.kept}
        shown = {name: None if path is None else str(path) for name, path in paths.items()}
        return asdict(self.imported) | shown


def run(resolved: Resolved[ImportWeightsSettings], source: Path, reporter: Reporter) -> ImportWeightsResult:
    """Read `source`, check it against the network, and write it as safetensors.

    Raises:
        UsageError: `out` is no safetensors file.
        DataError: the file is missing, damaged, holds more than plain tensors, NaN or infinite numbers, or is of
            another network.
        RunError: a different file lies in its place, or the folder cannot be written.
    """
    settings = resolved.settings
    imported = import_weights(source, settings.backbone, settings.out, CHECKPOINTS, overwrite=settings.overwrite)
    if imported.kept is not None:
        reporter.info(f"The file that was there before is kept as {imported.kept}")
    return ImportWeightsResult(source, imported)
