"""Secrets that apps gave us for good, kept in the user's own folder, readable by nobody else."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from engine.marking.installation import user_folder


class KeptTokens:
    """One JSON file of secrets by name. What cannot be read counts as not kept."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or user_folder() / "tokens.json"

    def get(self, name: str) -> str | None:
        token = self._read().get(name)
        return token if isinstance(token, str) else None

    def put(self, name: str, token: str | None) -> None:
        """Keep it, or forget it with None. A folder that cannot be written costs only the memory of it."""
        kept = {**self._read(), name: token}
        text = json.dumps({name: token for name, token in kept.items() if token is not None})
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = self.path.with_suffix(f".{os.getpid()}")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
            fresh.replace(self.path)

    def _read(self) -> dict[str, str | None]:
        try:
            kept = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}
