"""Random weights from a seed, such that every tensor matters and nothing saturates. Nobody is shown what they draw."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GAIN = 0.6  # of a layer's variance: beyond one, deep networks make a great difference of a small one


def random_tensor(name: str, shape: list[int], chance: torch.Generator) -> Tensor:
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return torch.tensor(0)
    if last == "running_var":
        return 0.5 + torch.rand(shape, generator=chance)
    if last in ("weight_u", "weight_v"):
        value = torch.randn(shape, generator=chance)
        return value / value.norm()
    if name.startswith("down.") or ".down.weight" in name:  # the blur before the keypoints is no parameter
        value = torch.rand(shape, generator=chance)
        return value / value[:1].sum()
    if last == "classbias":
        return torch.randn(shape, generator=chance)
    if last.startswith("weight") and len(shape) > 1:
        fan_in = torch.Size(shape[1:]).numel()
        return torch.randn(shape, generator=chance) * (GAIN / fan_in) ** 0.5
    if last == "weight":
        return 0.5 + torch.rand(shape, generator=chance)
    return 0.2 * torch.randn(shape, generator=chance)  # biases and running means


def random_weights(shapes: dict[str, list[int]], seed: int) -> dict[str, Tensor]:
    """Tensors of these names and shapes, drawn in the order of their names."""
    chance = torch.Generator().manual_seed(seed)
    return {name: random_tensor(name, shapes[name], chance) for name in sorted(shapes)}


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """The network in eval, with random weights."""
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict(random_weights(shapes, seed))
    return network.eval()
