"""What README, docs and the protocol say, taken apart: files, options, snippets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "webrtc" / "protocol.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "assets").glob("*/*.md")),
    *sorted((ROOT / "findings").glob("*.md")),
]


class Snippet(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(language: str) -> list[Snippet]:
    """Every block of that language."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S):
            line = text[: block.start()].count("\n") + 2
            found.append(Snippet(page, line, block[1], block[2]))
    return [snippet for snippet in found if snippet.language == language]


def commands(snippet: Snippet) -> list[str]:
    """The lines of a shell block, without comments."""
    lines = (re.sub(r"\s+#.*$", "", line).strip() for line in snippet.text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def quoted(page: Path) -> list[str]:
    """What stands between single backticks in the prose."""
    return re.findall(r"`([^`\n]+)`", prose(page))
