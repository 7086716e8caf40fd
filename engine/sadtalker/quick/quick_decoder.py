"""The SPADE decoder, cheaper: norms told together, and repeated pixels computed once.

Where the decoder has grown, its SPADE norms look at features that were only repeated, twice or four times each way. A
convolution over repeated pixels has few different answers: so many kernels, of summed weights, over the small features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.sadtalker.facerender.spade import SLOPE, Spade, SpadeBlock, SpadeDecoder
from engine.sadtalker.quick.folding import Conv, conv2d, spectral

PHASES = {1: [0], 2: [0, 1], 4: [0, 1, 1, 2]}  # which answer each of the repeated pixels gets


def phase_kernels(weight: Tensor, times: int) -> Tensor:
    """Kernels over the small features [P, P, O, I, 3, 3], one for each different answer, of [O, I, 3, 3]."""
    if times == 1:
        return weight[None, None]
    first, last = [[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]
    middle = [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    sums = torch.tensor([first, last] if times == 2 else [first, middle, last], dtype=weight.dtype)
    return torch.einsum("pij,qkl,ocjl->pqocik", sums, sums, weight)


class _Told:
    """What the features tell to some norms, all at once: [n] pictures [hidden, S, S]."""

    def __init__(self, norms: list[Spade], times: int, side: int) -> None:
        convs = [norm.mlp_shared[0] for norm in norms]
        weights = [phase_kernels(conv.get_parameter("weight").detach(), times) for conv in convs]
        self._count, self._hidden, self._times, self._side = len(norms), weights[0].shape[2], times, side
        self._phases = weights[0].shape[0]
        biases = [_bias(conv).repeat(self._phases**2) for conv in convs]
        self._conv = conv2d(torch.cat([w.flatten(0, 2) for w in weights]), torch.cat(biases), side)
        self._pick = torch.tensor(PHASES[times])

    def __call__(self, features: Tensor) -> list[Tensor]:
        answers = self._conv(features).relu_()
        shape = (self._count, self._phases, self._phases, self._hidden, self._side, self._side)
        return [self._repeated(one) for one in answers.view(shape)]

    def _repeated(self, phases: Tensor) -> Tensor:
        if self._times == 1:
            return phases[0, 0]
        whole = self._side * self._times
        pixels = phases[self._pick][:, self._pick]  # [t, t, hidden, side, side]
        return pixels.permute(2, 3, 0, 4, 1).reshape(self._hidden, whole, whole)


class _Norm:
    """A SPADE norm after what it was told."""

    def __init__(self, norm: Spade, side: int) -> None:
        scale, shift = norm.mlp_gamma, norm.mlp_beta
        assert scale.bias is not None
        assert shift.bias is not None
        bias = torch.cat([scale.bias.detach() + 1.0, shift.bias.detach()])
        self._conv = conv2d(torch.cat([scale.weight.detach(), shift.weight.detach()]), bias, side)

    def __call__(self, normal: Tensor, told: Tensor) -> Tensor:
        scale, shift = self._conv(told).chunk(2)
        return F.leaky_relu_(shift.addcmul_(scale, normal), SLOPE)


class _Past:
    """The way past a block: a norm and a 1 x 1 convolution, of which the norm's shift is a part already."""

    def __init__(self, norm: Spade, weight: Tensor, side: int) -> None:
        scale, shift = norm.mlp_gamma, norm.mlp_beta
        assert scale.bias is not None
        assert shift.bias is not None
        self._weight = weight[:, :, 0, 0]
        self._channels = scale.out_channels
        merged = torch.einsum("oc,chjk->ohjk", self._weight, shift.weight.detach())
        bias = torch.cat([scale.bias.detach() + 1.0, self._weight @ shift.bias.detach()])
        self._conv = conv2d(torch.cat([scale.weight.detach(), merged]), bias, side)

    def __call__(self, normal: Tensor, told: Tensor) -> Tensor:
        both = self._conv(told)
        scaled = both[: self._channels].mul_(normal)
        return both[self._channels :].flatten(1).addmm_(self._weight, scaled.flatten(1)).view(-1, *normal.shape[1:])


class _Block:
    """One SPADE block, ``times`` larger than the features that tell it what to draw."""

    def __init__(self, block: SpadeBlock, times: int, side: int) -> None:
        whole = side * times
        norms = [block.norm_0, block.norm_1, *([block.norm_s] if block.changes else [])]
        self._told = _Told(norms, times, side) if times > 1 else None
        self._times = times
        self._norm_0, self._norm_1 = _Norm(block.norm_0, whole), _Norm(block.norm_1, whole)
        self._conv_0 = conv2d(spectral(block.conv_0), _bias(block.conv_0), whole)
        self._conv_1 = conv2d(spectral(block.conv_1), _bias(block.conv_1), whole)
        self._past = _Past(block.norm_s, spectral(block.conv_s), whole) if block.changes else None

    def __call__(self, x: Tensor, features: Tensor, told: list[Tensor] | None = None) -> Tensor:
        told = self._told(features) if self._told else told
        assert told is not None
        normal = F.instance_norm(x[None])[0]
        if self._times > 1:  # repeating pixels changes neither mean nor variance
            normal = normal.repeat_interleave(2, 1).repeat_interleave(2, 2)
        y = self._conv_0(self._norm_0(normal, told[0]))
        y = self._conv_1(self._norm_1(F.instance_norm(y[None])[0], told[1]))
        return y.add_(self._past(normal, told[2]) if self._past else x)


def _bias(conv: torch.nn.Module) -> Tensor:
    return conv.get_parameter("bias").detach()


class QuickDecoder:
    """Features [4 * block, side, side] -> a picture [3, 4 * side, 4 * side] in [0, 1]."""

    def __init__(self, decoder: SpadeDecoder, side: int) -> None:
        middles = [decoder.get_submodule(f"G_middle_{i}") for i in range(decoder.middles)]
        blocks = [block for block in middles if isinstance(block, SpadeBlock)]
        self._fc: Conv = conv2d(decoder.fc.weight.detach(), _bias(decoder.fc), side)
        self._told = _Told([norm for block in blocks for norm in (block.norm_0, block.norm_1)], 1, side)
        self._middles = [_Block(block, 1, side) for block in blocks]
        self._ups = [_Block(decoder.up_0, 2, side), _Block(decoder.up_1, 4, side)]
        self._image = decoder.conv_img

    def __call__(self, features: Tensor) -> Tensor:
        x = self._fc(features)
        told = self._told(features)
        for number, block in enumerate(self._middles):
            x = block(x, features, told[2 * number : 2 * number + 2])
        del told
        for up in self._ups:
            x = up(x, features)
        picture: Tensor = self._image(F.leaky_relu_(x, SLOPE)[None])[0].sigmoid_()
        return picture
