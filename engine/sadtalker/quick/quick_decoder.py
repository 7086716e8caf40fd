"""The SPADE decoder, cheaper: channels last, norms told together, and repeated pixels computed once.

Where the decoder has grown, its SPADE norms look at features that were only repeated, twice or four times each way. A
convolution over repeated pixels has few different answers: so many kernels, of summed weights, over the small features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.sadtalker.facerender.spade import SLOPE, Spade, SpadeBlock, SpadeDecoder
from engine.sadtalker.quick import tiles
from engine.sadtalker.quick.folding import spectral
from engine.sadtalker.quick.tiled_conv import Normal, Product, TiledConv, blank, wide

PHASES = {1: [0], 2: [0, 1], 4: [0, 1, 1, 2]}  # which answer each of the repeated pixels gets


def phase_kernels(weight: Tensor, times: int) -> Tensor:
    """Kernels over the small features [P, P, O, I, 3, 3], one for each different answer, of [O, I, 3, 3]."""
    if times == 1:
        return weight[None, None]
    first, last = [[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]
    middle = [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    sums = torch.tensor([first, last] if times == 2 else [first, middle, last], dtype=weight.dtype)
    return torch.einsum("pij,qkl,ocjl->pqocik", sums, sums, weight)


def conv(weight: Tensor, bias: Tensor) -> TiledConv:
    return TiledConv(wide(weight, 0, 1), wide(bias, 0))


class _Told:
    """What the features tell to some norms, all at once: ``each`` channels for one, ``hidden`` an answer."""

    def __init__(self, norms: list[Spade], times: int) -> None:
        shared = [norm.mlp_shared[0] for norm in norms]
        weights = [wide(phase_kernels(one.get_parameter("weight").detach(), times), 2, 3) for one in shared]
        self.hidden, answers = weights[0].shape[2], weights[0].shape[0] ** 2
        self.each = answers * self.hidden
        self._phases, self._times = torch.tensor(PHASES[times]).numpy(), times
        biases = [wide(_bias(one), 0).repeat(answers) for one in shared]
        self._conv = TiledConv(torch.cat([w.flatten(0, 2) for w in weights]), torch.cat(biases))

    def __call__(self, features: Tensor) -> Tensor:
        return self._conv(features, slope=0.0)

    def repeated(self, answers: Tensor, number: int) -> Tensor:
        """What norm ``number`` was told, as large as its picture."""
        out = blank(answers, self.hidden, self._times)
        tiles.repeated(answers.numpy(), number * self.each, self._phases, out.numpy())
        return out


def _norm(norm: Spade) -> TiledConv:
    """The scales and the shifts of a SPADE norm after what it was told."""
    scale, shift = norm.mlp_gamma, norm.mlp_beta
    bias = torch.cat([wide(_bias(scale) + 1.0, 0), wide(_bias(shift), 0)])
    return TiledConv(wide(torch.cat([wide(scale.weight.detach(), 0), wide(shift.weight.detach(), 0)]), 1), bias)


class _Past:
    """The way past a block: a norm and a 1 x 1 convolution, of which the norm's shift is a part already."""

    def __init__(self, norm: Spade, weight: Tensor) -> None:
        scale, shift = norm.mlp_gamma, norm.mlp_beta
        flat = weight[:, :, 0, 0]
        self._mixed = Product(wide(flat, 0, 1))
        merged = wide(torch.einsum("oc,chjk->ohjk", flat, shift.weight.detach()), 0)
        bias = torch.cat([wide(_bias(scale) + 1.0, 0), wide(flat @ _bias(shift), 0)])
        self._conv = TiledConv(wide(torch.cat([wide(scale.weight.detach(), 0), merged]), 1), bias)

    def __call__(self, normal: Normal, told: Tensor) -> Tensor:
        scaled, out = self._conv.told_past(normal, told)
        out[1:-1, 1:-1] += self._mixed(scaled.flatten(0, 1)).view(*scaled.shape[:2], -1)
        return out


class _Block:
    """One SPADE block as large as the features that tell it what to draw."""

    def __init__(self, block: SpadeBlock) -> None:
        self._norm_0, self._norm_1 = _norm(block.norm_0), _norm(block.norm_1)
        self._conv_0 = conv(spectral(block.conv_0), _bias(block.conv_0))
        self._conv_1 = conv(spectral(block.conv_1), _bias(block.conv_1))

    def __call__(self, x: Tensor, told: Tensor, first: int, each: int) -> Tensor:
        """Added to ``x``. ``told`` tells the first norm from channel ``first`` on, the second ``each`` later."""
        y = self._conv_0(self._norm_0.told(Normal(x), told, first, SLOPE))
        return self._conv_1.add_to(x, self._norm_1.told(Normal(y), told, first + each, SLOPE))


class _GrownBlock:
    """A SPADE block twice as large as the picture before it, and ``times`` larger than the features."""

    def __init__(self, block: SpadeBlock, times: int) -> None:
        self._told = _Told([block.norm_0, block.norm_1, block.norm_s], times)
        self._norm_0, self._norm_1 = _norm(block.norm_0), _norm(block.norm_1)
        self._conv_0 = conv(spectral(block.conv_0), _bias(block.conv_0))
        self._conv_1 = conv(spectral(block.conv_1), _bias(block.conv_1))
        self._past = _Past(block.norm_s, spectral(block.conv_s))

    def __call__(self, x: Tensor, features: Tensor) -> Tensor:
        answers = self._told(features)
        normal = Normal(x, smaller=1)  # repeating pixels changes neither mean nor variance
        y = self._conv_0(self._norm_0.told(normal, self._told.repeated(answers, 0), 0, SLOPE))
        out = self._past(normal, self._told.repeated(answers, 2))
        return self._conv_1.add_to(out, self._norm_1.told(Normal(y), self._told.repeated(answers, 1), 0, SLOPE))


def _bias(layer: torch.nn.Module) -> Tensor:
    return layer.get_parameter("bias").detach()


class QuickDecoder:
    """Features, a picture of 4 * block channels (`tiled_conv.py`) -> [3, S, S] in [0, 1], four times as large."""

    def __init__(self, decoder: SpadeDecoder) -> None:
        middles = [decoder.get_submodule(f"G_middle_{i}") for i in range(decoder.middles)]
        blocks = [block for block in middles if isinstance(block, SpadeBlock)]
        self._fc = conv(decoder.fc.weight.detach(), _bias(decoder.fc))
        self._told = _Told([norm for block in blocks for norm in (block.norm_0, block.norm_1)], 1)
        self._middles = [_Block(block) for block in blocks]
        self._ups = [_GrownBlock(decoder.up_0, 2), _GrownBlock(decoder.up_1, 4)]
        self._weight, self._bias = wide(decoder.conv_img.weight.detach(), 1), _bias(decoder.conv_img)

    def __call__(self, features: Tensor) -> Tensor:
        x, told, each = self._fc(features), self._told(features), self._told.each
        for number, block in enumerate(self._middles):
            x = block(x, told, 2 * number * each, each)
        del told
        for up in self._ups:
            x = up(x, features)
        last = F.leaky_relu_(x, SLOPE).permute(2, 0, 1)[None]  # its border of zeros is the convolution's
        return F.conv2d(last, self._weight, self._bias)[0].sigmoid_()
