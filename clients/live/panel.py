"""What people see of a live face: its delay, its pace, and how each output does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from clients.outputs.output_line import OutputLine

EVERY_S = 0.25


class Panel:
    """A small table where there is a terminal; elsewhere a line whenever an output's state changes."""

    def __init__(
        self,
        console: Console,
        title: str,
        figures: Callable[[], str],
        lines: list[OutputLine],
        delay_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """``figures`` gives the words of the first row, ``delay_s`` how late everything leaves."""
        self._console = console
        self._title = title
        self._figures = figures
        self._lines = lines
        self._delay_s = delay_s
        self._told: dict[str, str] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        if not self._console.is_terminal:
            while True:
                self._tell()
                await asyncio.sleep(EVERY_S)
        with Live(self._table(), console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self._table(), refresh=True)
                await asyncio.sleep(EVERY_S)

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_row("[bold]vivify live[/]", escape(f"{self._title}: {self._figures()}; Ctrl-C ends it"))
        for line in self._lines:
            colour = "red" if line.error else "green"
            table.add_row(f"[{colour}]{line.output.name}[/]", escape(line.state + self._behind(line)))
        return table

    def _behind(self, line: OutputLine) -> str:
        """How late it comes out at the other end, where that is later than it leaves here."""
        path_s = line.output.path_s
        return f", {1000 * (self._delay_s() + path_s):.0f} ms in all" if path_s and not line.error else ""

    def _tell(self) -> None:
        for line in self._lines:
            words = line.error or line.output.state
            if self._told.get(line.output.name) != words:
                self._told[line.output.name] = words
                self._console.print(f"{line.output.name}: {escape(words)}", highlight=False, soft_wrap=True)
