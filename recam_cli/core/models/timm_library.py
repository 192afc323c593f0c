"""The library timm, an extra: whether it is there, its networks by name, and their pre-trained weights."""

from __future__ import annotations

import difflib
from typing import Any

from torch import Tensor, nn

from recam_cli.core.errors import DataError, MissingExtraError, UsageError
from recam_cli.core.models.torchvision_gate import torchvision
from recam_cli.core.settings.backbone_names import TIMM, is_timm

_REFUSED = (TypeError, AssertionError, NotImplementedError, ValueError, RuntimeError)
"""What timm's networks raise of options they do not have."""


def hub_state(name: str) -> tuple[dict[str, Tensor], str]:
    """Return timm's pre-trained state dict of a network, and a line that says where it came from.

    timm downloads it, or takes it from its cache.

    Raises:
        MissingExtraError: timm is not installed.
        UsageError: timm knows no such network.
        DataError: there are no such weights, or they cannot be downloaded.
    """
    timm = timm_module(name)
    plain = name.removeprefix(TIMM)
    try:
        model = timm.create_model(plain, pretrained=True)
    except Exception as error:  # whatever timm, its hub's client or the network raises
        reason = str(error).strip().split("\n")[0][:300]
        raise DataError(
            f"timm's weights of {name} cannot be had ({type(error).__name__}: {reason})",
            remedy=f"Name a file of timm's state dict with --weights FILE.safetensors (https://huggingface.co/timm has "
            f"model.safetensors of {plain}), or train from nothing with --weights none",
        ) from None
    about = model.pretrained_cfg
    tag = f".{about['tag']}" if about.get("tag") else ""
    return dict(model.state_dict()), f"timm {timm.__version__}: {about.get('architecture', plain)}{tag}"


def timm_module(name: str) -> Any:
    """Return the module timm, which knows the network of this name.

    Raises:
        MissingExtraError: timm is not installed.
        UsageError: it knows none of that name.
    """
    torchvision()  # first, as timm imports it as it is
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError(
            f"--backbone {name}: timm cannot be imported ({error})", remedy="Run: pip install 'recam-cli[timm]'"
        ) from None
    plain = name.removeprefix(TIMM)
    base, _, tag = plain.partition(".")
    if not is_timm(name) or not timm.is_model(base):
        raise UsageError(f"--backbone {name}: timm {timm.__version__} has no such network{_near(base, timm)}")
    if tag and plain not in (tagged := timm.list_pretrained(f"{base}.*")):
        raise UsageError(f"--backbone {name}: timm {timm.__version__} has no such weights{_near(plain, timm, tagged)}")
    return timm


def _near(name: str, timm: Any, known: list[str] | None = None) -> str:
    close = difflib.get_close_matches(name, timm.list_models() if known is None else known, n=1)
    return f". Did you mean {TIMM}{close[0]}?" if close else ""


def timm_model(name: str, stride: int) -> nn.Module:
    """Return timm's whole network with random weights, able to take pictures of any size where timm can do that."""
    timm = timm_module(name)
    own = name.removeprefix(TIMM)
    for options in ({"output_stride": stride}, {"dynamic_img_size": True}, {"strict_img_size": False}):
        try:
            model: nn.Module = timm.create_model(own, pretrained=False, **options)
        except _REFUSED:
            continue  # not of this kind of network
        return model
    plain: nn.Module = timm.create_model(own, pretrained=False)
    try:  # MobileNetV3 takes a stride as a features_only network alone, of the same layers by the same names
        strided = timm.create_model(own, pretrained=False, features_only=True, output_stride=stride)
        if _layout(strided.blocks) == _layout(plain.get_submodule("blocks")):
            plain.blocks = strided.blocks
    except (*_REFUSED, AttributeError):
        pass
    return plain


def _layout(blocks: nn.Module) -> dict[str, Any]:
    return {key: value.shape for key, value in blocks.state_dict().items()}
