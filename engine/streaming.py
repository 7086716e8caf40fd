"""Streaming state: the same ``forward`` serves a whole recording at once and a live stream piece by piece.

A `StreamingModule` without state sees its input as one whole, starting from nothing. Inside
``with module.streaming(batch_size):`` it and every streaming module below it keep state between calls, so that the
outputs of successive chunks, put together, are the output of one call over the whole. There is no other switch.

Rows of a batch are independent sessions. ``reset(mask)`` starts rows anew; ``exec_mask`` (a [B] bool passed to
``forward``) says which rows run: the others keep their state untouched and their output is to be ignored. Each module
is itself responsible for respecting the mask; `keep` is the one expression that does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn


@dataclass
class State:
    """What one module remembers between chunks. Tensor fields have the batch first; fresh rows are all zeros.

    A state whose fresh rows are not zeros, or that holds more than tensors, overrides `reset`.
    """

    batch_size: int

    def reset(self, mask: Tensor) -> None:
        """Start the rows where ``mask`` [B] bool is true anew; the others are untouched."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                setattr(self, item.name, keep(torch.zeros_like(value), value, mask))
            elif isinstance(value, RingKVCache):
                value.reset(mask)


StateT = TypeVar("StateT", bound=State)


def keep(new: Tensor, old: Tensor, mask: Tensor | None) -> Tensor:
    """``new`` in the rows where ``mask`` [B] is true (or everywhere without a mask), ``old`` in the others."""
    if mask is None:
        return new
    return torch.where(mask.view(-1, *[1] * (new.dim() - 1)), new, old)


class StreamingModule(nn.Module, Generic[StateT]):
    """A module that may run with state. Subclasses say how a fresh state looks in `fresh_state`."""

    def __init__(self) -> None:
        super().__init__()
        self._state: StateT | None = None

    def fresh_state(self, batch_size: int) -> StateT:
        """The state before the first sample, for ``batch_size`` rows."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its streaming state begins.")

    @property
    def is_streaming(self) -> bool:
        return self._state is not None

    @property
    def state(self) -> StateT | None:
        """What it remembers inside `streaming`, None outside."""
        return self._state

    def _streaming_modules(self) -> list[StreamingModule[State]]:
        return [module for module in self.modules() if isinstance(module, StreamingModule)]

    @contextmanager
    def streaming(self, batch_size: int) -> Iterator[None]:
        """Keep state between calls for ``batch_size`` rows, in this module and all below it, until the block ends."""
        modules = self._streaming_modules()
        if any(module.is_streaming for module in modules):
            raise RuntimeError(f"{type(self).__name__} is already streaming: leave that block before entering another.")
        try:
            for module in modules:
                module._state = module.fresh_state(batch_size)
            yield
        finally:
            for module in modules:
                module._state = None

    def reset(self, mask: Tensor) -> None:
        """Start rows anew where ``mask`` [B] bool is true. Only inside ``with module.streaming(...)``."""
        if self._state is None:
            raise RuntimeError(f"{type(self).__name__} holds no state: call reset inside `with module.streaming(...)`.")
        if mask.dtype != torch.bool or tuple(mask.shape) != (self._state.batch_size,):
            raise ValueError(
                f"reset expects a bool mask of shape [{self._state.batch_size}], got {mask.dtype} {tuple(mask.shape)}."
            )
        for module in self._streaming_modules():
            if module._state is not None:
                module._state.reset(mask)


class RingKVCache:
    """Keys and values of the last ``context`` steps of each row, in rings of fixed size.

    The capacity is ``context + max_chunk - 1``: a chunk is written whole before any of its queries looks back, so with
    a capacity of ``context`` alone the first query of a chunk would silently lose its oldest keys.
    """

    def __init__(self, batch_size: int, heads: int, dim: int, context: int, max_chunk: int, like: Tensor) -> None:
        self.capacity = context + max_chunk - 1
        self.max_chunk = max_chunk
        shape = (batch_size, heads, self.capacity, dim)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)  # [B, H, C, D]
        self.values = torch.zeros_like(self.keys)
        self.end = torch.zeros(batch_size, dtype=torch.int64, device=like.device)  # [B] steps written so far
        self._slots = torch.arange(self.capacity, device=like.device)  # [C]
        self._steps = torch.arange(max_chunk, device=like.device)

    def reset(self, mask: Tensor) -> None:
        """Forget everything of the rows where ``mask`` [B] is true: their slots read as empty again."""
        self.end = torch.where(mask, torch.zeros_like(self.end), self.end)

    def complete(self, k: Tensor, v: Tensor, exec_mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Append ``k`` and ``v`` [B, H, T, D]; rows masked out stay as they were.

        Returns all keys and values [B, H, C, D], their absolute positions [B, C] (-1 where empty), and the positions
        [B, T] of the steps just given. Of a row masked out only ``end`` must stay: what is written to its slots is out
        of its next step's reach, which writes there itself.
        """
        steps = k.shape[2]
        if steps > self.max_chunk:
            raise ValueError(f"This cache takes chunks of at most {self.max_chunk} steps, got {steps}.")
        positions = self.end[:, None] + self._steps[:steps]  # [B, T]
        slots = (positions % self.capacity)[:, None, :, None].expand_as(k)  # [B, H, T, D]
        self.keys.scatter_(2, slots, k)
        self.values.scatter_(2, slots, v)
        self.end = keep(self.end + steps, self.end, exec_mask)
        last = self.end[:, None] - 1  # [B, 1]
        held = last - (last - self._slots) % self.capacity  # [B, C] newest position of each slot, below 0 where empty
        return self.keys, self.values, held.clamp(min=-1), positions


class Place(NamedTuple):
    """Where one tensor of a streaming state lies."""

    name: str  # dotted, as parameters are named
    owner: Any  # a `State` or a `RingKVCache`
    field: str

    @property
    def tensor(self) -> Tensor:
        value: Tensor = getattr(self.owner, self.field)
        return value

    def put(self, value: Tensor) -> None:
        setattr(self.owner, self.field, value)


def places(module: nn.Module) -> list[Place]:
    """Every tensor of the state of ``module`` and all below it, in order of the modules; none while not streaming."""
    found = []
    for path, part in module.named_modules():
        state = part.state if isinstance(part, StreamingModule) else None
        for item in fields(state) if state else ():
            value, name = getattr(state, item.name), f"{path}.{item.name}".lstrip(".")
            if isinstance(value, Tensor):
                found.append(Place(name, state, item.name))
            elif isinstance(value, RingKVCache):
                found += [Place(f"{name}.{field}", value, field) for field in ("keys", "values", "end")]
    return found
