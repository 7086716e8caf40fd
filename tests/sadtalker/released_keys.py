"""Names and shapes of the released weights, as the shared folder lists them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

KEYS = Path(__file__).resolve().parents[3] / "shared/sadtalker/keys.json"


def released(network: str) -> dict[str, list[int]]:
    """Names and shapes of one network's tensors; skips where the list is not at hand."""
    if not KEYS.exists():
        pytest.skip("needs ../shared/sadtalker/keys.json")
    names: dict[str, list[int]] = json.loads(KEYS.read_text())[network]
    return names
