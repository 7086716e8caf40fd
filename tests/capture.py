"""Would a CUDA graph hold this? Asked on a machine without a GPU.

Run on torch's ``meta`` device, where tensors have shapes and no values, a step cannot read a value back, nor mix in a
tensor that was left on the host; `strictly` refuses what else a capture refuses. `launches` counts what it holds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class strictly(TorchDispatchMode):
    """Within the block values from the host, copies between devices and shapes that depend on values are refused."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "masked_select"), f"{name} waits for the device"
        assert name != "lift_fresh", "a tensor is made of the host's values: make it once, beforehand"
        if name in ("index", "index_put", "index_put_"):
            kinds = {t.device.type for t in (args[0], *args[1]) if isinstance(t, torch.Tensor)}
            assert len(kinds) == 1, f"{name} takes its places from the host: use a slice, or a tensor made beforehand"
        out = func(*args, **(kwargs or {}))
        if name in ("_to_copy", "copy_"):
            kinds = {t.device.type for t in (*args, out) if isinstance(t, torch.Tensor)}
            assert len(kinds) == 1, f"{name} copies between {kinds}"
        return out


class launches(TorchDispatchMode):
    """Counts what would be launched within the block: all operations but those that only look at a tensor anew."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        looks = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        self.count += not looks and func.overloadpacket.__name__ != "_unsafe_view"
        return func(*args, **(kwargs or {}))
