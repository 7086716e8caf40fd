"""CUDA graphs: a function of tensors captured once for each shape of its input, and replayed from then on.

On a CPU, or where a capture is refused, the function is simply called.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.streaming import StreamingModule, places

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # rows of a batch: every other number is filled up to the next of these
WARM_UPS = 3  # eager calls before a capture: kernels are compiled and workspaces allocated in them

log = logging.getLogger(__name__)


def filled_up(rows: int) -> int:
    """The batch size that ``rows`` are run at. Raises ValueError beyond the largest."""
    for size in SIZES:
        if rows <= size:
            return size
    raise ValueError(f"A batch of at most {SIZES[-1]} rows was expected, but {rows} came.")


class Anchor:
    """Keeps a streaming module's memory at fixed addresses, so that a captured step reads what the last one wrote.

    Modules replace their state's tensors by new ones. `settle`, called at the end of a step and after a reset, copies
    those back into the first ones.
    """

    def __init__(self, module: StreamingModule) -> None:
        self._places = [(place.owner, place.field, place.tensor) for place in places(module)]

    def settle(self) -> None:
        """Bring every tensor of the state home."""
        for owner, name, home in self._places:
            current = getattr(owner, name)
            if current is not home:
                home.copy_(current)
                setattr(owner, name, home)

    def remember(self) -> list[Tensor]:
        """A copy of the whole state."""
        return [home.clone() for _, _, home in self._places]

    def recall(self, saved: list[Tensor]) -> None:
        """Go back to a state that `remember` gave."""
        for (owner, name, home), value in zip(self._places, saved, strict=True):
            home.copy_(value)
            setattr(owner, name, home)


@dataclass
class _Graph:
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    graph: torch.cuda.CUDAGraph


class Captured:
    """``function`` of tensors, returning tensors: the same call, without its launches' cost once a shape is known.

    On a GPU the outputs are the graph's own memory: they hold until the next call with the same shapes.
    """

    def __init__(
        self, function: Callable[..., tuple[Tensor, ...]], enabled: bool = True, anchors: Sequence[Anchor] = ()
    ) -> None:
        """``anchors`` hold what the function remembers between calls: trials before a capture leave no trace there."""
        self._function = function
        self._anchors = anchors
        self._enabled = enabled
        self._graphs: dict[tuple[object, ...], _Graph | None] = {}
        self._pool: Any = None  # the graphs never run at once: they share what lies between

    @property
    def shapes(self) -> tuple[int, int]:
        """For how many shapes there is a graph, and for how many a capture was refused."""
        refused = sum(graph is None for graph in self._graphs.values())
        return len(self._graphs) - refused, refused

    def __call__(self, *given: Tensor, **fixed: int) -> tuple[Tensor, ...]:
        """The function of ``given``; a graph is kept for each of their shapes and each of the numbers ``fixed``."""
        if not self._enabled or not given[0].is_cuda:
            return self._function(*given, **fixed)
        key = *((tuple(t.shape), t.dtype) for t in given), *sorted(fixed.items())
        if key not in self._graphs:
            self._graphs[key] = self._capture(given, fixed)
        held = self._graphs[key]
        if held is None:
            return self._function(*given, **fixed)
        for own, new in zip(held.inputs, given, strict=True):
            own.copy_(new, non_blocking=True)
        held.graph.replay()
        return held.outputs

    def _capture(self, given: tuple[Tensor, ...], fixed: dict[str, int]) -> _Graph | None:
        inputs = tuple(t.clone() for t in given)
        memory = [anchor.remember() for anchor in self._anchors]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._function(*inputs, **fixed)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        gc.collect()  # what the collector frees during a capture (rings of modules and methods) would spoil it
        collecting = gc.isenabled()
        gc.disable()
        try:
            with torch.cuda.graph(graph, pool=self._pool):
                outputs = self._function(*inputs, **fixed)
        except RuntimeError as refused:
            log.warning("Without a CUDA graph for %s: %s", given[0].shape, str(refused).splitlines()[0])
            return None
        finally:
            if collecting:
                gc.enable()
            for anchor, saved in zip(self._anchors, memory, strict=True):
                anchor.recall(saved)
        return _Graph(inputs, outputs, graph)
