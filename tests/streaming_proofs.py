"""What streaming means, as checks any streaming module must pass.

``call(x, exec_mask)`` runs the module on x [B, unit * steps, ...] and returns [B, steps', ...], time on axis 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.streaming import RingKVCache, State, StreamingModule

Call = Callable[[Tensor, Tensor | None], Tensor]
Module = StreamingModule[State]
TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}


def in_chunks(call: Call, x: Tensor, unit: int, size: int) -> Tensor:
    """The outputs of successive chunks of ``size`` units, put together."""
    return torch.cat([call(piece, None) for piece in x.split(unit * size, 1)], 1)


def prove_all(module: Module, call: Call, x: Tensor, unit: int = 1) -> None:
    """Every proof. x must run well past any cache of the module; rows of x must differ."""
    assert x.shape[0] >= 2
    module.eval()
    with torch.inference_mode():
        whole = call(x, None)
        assert whole.std() > 0, "an output that never changes proves nothing"
        prove_causal(call, x, whole, unit)
        prove_chunks(module, call, x, whole, unit)
        prove_reset(module, call, x, whole, unit)
        prove_exec_mask(module, call, x, whole, unit)
        prove_bounded(module, call, x, unit)


def prove_causal(call: Call, x: Tensor, whole: Tensor, unit: int) -> None:
    """Future input never changes past output, neither when it is other nor when it is missing."""
    steps = x.shape[1] // unit
    for now in (1, steps // 3, steps - 1):
        past = whole.shape[1] * now // steps
        other = x.clone()
        other[:, unit * now :] = torch.randn_like(other[:, unit * now :])
        torch.testing.assert_close(call(other, None)[:, :past], whole[:, :past], **TOLERANCE)
        torch.testing.assert_close(call(x[:, : unit * now], None), whole[:, :past], **TOLERANCE)


def prove_chunks(module: Module, call: Call, x: Tensor, whole: Tensor, unit: int) -> None:
    """Chunks of 1, 2 and 7 units equal one call over the whole."""
    for size in (1, 2, 7):
        with module.streaming(x.shape[0]):
            torch.testing.assert_close(in_chunks(call, x, unit, size), whole, **TOLERANCE)


def prove_reset(module: Module, call: Call, x: Tensor, whole: Tensor, unit: int) -> None:
    """A reset row starts anew; the others go on as if nothing had happened."""
    half = x.shape[1] // unit // 2
    mask = torch.zeros(x.shape[0], dtype=torch.bool)
    mask[0] = True
    with module.streaming(x.shape[0]):
        in_chunks(call, x[:, : unit * half], unit, 1)
        module.reset(mask)
        after = in_chunks(call, x[:, unit * half :], unit, 1)
    torch.testing.assert_close(after[1:], whole[1:, -after.shape[1] :], **TOLERANCE)
    torch.testing.assert_close(after[:1], call(x[:, unit * half :], None)[:1], **TOLERANCE)


def prove_exec_mask(module: Module, call: Call, x: Tensor, whole: Tensor, unit: int) -> None:
    """A row left out for some steps, whatever it was given then, goes on where it stood."""
    batch = x.shape[0]
    run = torch.ones(batch, dtype=torch.bool)
    run[-1] = False
    out: list[list[Tensor]] = [[] for _ in range(batch)]
    pieces = x.split(unit, 1)
    with module.streaming(batch):
        last = 0  # the last row is one step behind for each time it was left out
        for k, piece in enumerate(pieces):
            given = piece.clone()
            if k % 3 == 1:
                given[-1] = 100.0 * torch.randn_like(given[-1])
                y = call(given, run)
            else:
                given[-1] = pieces[last][-1]
                y = call(given, None)
                out[-1].append(y[-1])
                last += 1
            for row in range(batch - 1):
                out[row].append(y[row])
    for row in range(batch):
        got = torch.cat(out[row])
        torch.testing.assert_close(got, whole[row, : len(got)], **TOLERANCE)


def held(module: Module) -> int:
    """Numbers held in the streaming state of ``module`` and all below it."""
    total = 0
    for part in module.modules():
        for value in vars(getattr(part, "_state", None) or State(0)).values():
            if isinstance(value, Tensor):
                total += value.numel()
            elif isinstance(value, RingKVCache):
                total += value.keys.numel() + value.values.numel()
    return total


def prove_bounded(module: Module, call: Call, x: Tensor, unit: int) -> None:
    """State is as large after a long run as at its beginning, and gone when the stream is left."""
    with module.streaming(x.shape[0]):
        before = held(module)
        in_chunks(call, x, unit, 1)
        assert held(module) == before
    assert held(module) == 0
