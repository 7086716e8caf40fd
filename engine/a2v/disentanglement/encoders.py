"""Pictures and sound to features: torchvision's classifiers without their last layer, or a plain stack of convolutions.

torchvision gives the architectures alone; no weights are fetched. They are imported when first asked for, since the
small sizes do without.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor, nn

from engine.errors import VivifyError

LEFT_OUT = ("nms", "qnms")  # operators that torchvision tells fakes of while it is imported, whether they exist or not


def classifiers() -> ModuleType:
    """``torchvision.models``. Raises VivifyError when it is not installed."""
    try:
        from torchvision import models
    except ImportError as error:
        raise VivifyError(
            "torchvision was expected for the paper's encoders, but is not installed: pip install 'vivify[a2v]', or "
            "train with --size small."
        ) from error
    except RuntimeError:
        # PyPI's build wants torch with CUDA and finds no operators of its own beside a torch for CPUs alone. No
        # classifier uses them: they need only be named.
        for name in LEFT_OUT:
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        from torchvision import models
    return models  # type: ignore[no-any-return]


class Plain(nn.Module):
    """[N, channels, H, W] -> [N, widths[-1]]: a 3 x 3 convolution a width, halving the side, then the mean over all."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.GroupNorm(min(8, after), after), nn.SiLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean((2, 3))


def encoder(name: str, channels: int, features: int, plain: tuple[int, ...]) -> nn.Module:
    """[N, channels, H, W] -> [N, features], by a classifier of torchvision's or, named "plain", by `Plain`.

    A linear layer brings it to ``features`` unless it has as many already.
    """
    if name == "plain":
        net: nn.Module = Plain(channels, plain)
        width = plain[-1]
    else:
        net = getattr(classifiers(), name)(weights=None)
        last = "fc" if hasattr(net, "fc") else "classifier"
        width = _width(getattr(net, last))
        setattr(net, last, nn.Identity())
        if channels != 3:
            _take_channels(net, channels)
    return net if width == features else nn.Sequential(net, nn.Linear(width, features))


def _width(head: nn.Module) -> int:
    return next(layer.in_features for layer in head.modules() if isinstance(layer, nn.Linear))


def _take_channels(net: nn.Module, channels: int) -> None:
    """Its first convolution anew, for pictures of another number of channels."""
    name, first = next((name, layer) for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d))
    where, _, leaf = name.rpartition(".")
    anew = nn.Conv2d(channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False)  # type: ignore[arg-type]
    setattr(net.get_submodule(where), leaf, anew)
