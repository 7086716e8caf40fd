"""Logs that carry the session's name, as text or as one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

LOGGER = "vivify"
FORMS = ("text", "json")


class SessionLog(logging.LoggerAdapter[logging.Logger]):
    """Logs for one session: its name stands before the text and in the record's ``session``."""

    def __init__(self, session: str) -> None:
        super().__init__(logging.getLogger(LOGGER), {"session": session})
        self._session = session

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {"session": self._session}}


class Sparing:
    """Lets so many lines through a second, so that a flood of what is logged does not become one of lines."""

    def __init__(self, per_second: float) -> None:
        self._pause = 1 / per_second
        self._next = 0.0
        self._left_out = 0

    def may(self, now: float) -> int | None:
        """None to leave a line out at ``now``; else how many were left out since the last one."""
        if now < self._next:
            self._left_out += 1
            return None
        self._next = now + self._pause
        left_out, self._left_out = self._left_out, 0
        return left_out


class TextForm(logging.Formatter):
    """``time LEVEL session NAME: text``"""

    def format(self, record: logging.LogRecord) -> str:
        session = getattr(record, "session", None)
        place = f"session {session}: " if session else ""
        return f"{_time(record)} {record.levelname} {place}{record.getMessage()}"


class JsonForm(logging.Formatter):
    """``{"time", "level", "text", "session"?}``"""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"time": _time(record), "level": record.levelname.lower(), "text": record.getMessage()}
        session = getattr(record, "session", None)
        if session:
            fields["session"] = session
        return json.dumps(fields)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def write_logs(form: str) -> None:
    """Write what happens to sessions to the standard error stream, in one of `FORMS`; once per process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonForm() if form == "json" else TextForm())
    logger = logging.getLogger(LOGGER)
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
