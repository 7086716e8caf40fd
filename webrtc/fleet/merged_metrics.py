"""Figures of several nodes as one text for Prometheus: every series says in a label which node it is of."""

from __future__ import annotations

import re

_SERIES = re.compile(r"([a-zA-Z_:][\w:]*)(\{)?(.*)", re.ASCII | re.DOTALL)


def merged(texts: dict[str, str]) -> str:
    """One text out of each node's, by name. All lines of one metric stand together, as Prometheus wants them."""
    heads: dict[str, list[str]] = {}
    series: dict[str, list[str]] = {}
    for node, text in texts.items():
        metric = ""
        for line in text.splitlines():
            if line.startswith("#"):
                metric = line.split(" ", 3)[2]
                head = heads.setdefault(metric, [])
                if line not in head:
                    head.append(line)
            elif line:
                series.setdefault(metric, []).append(_labelled(line, node))
    return "".join(f"{line}\n" for metric in heads for line in (*heads[metric], *series.get(metric, ())))


def _labelled(line: str, node: str) -> str:
    found = _SERIES.fullmatch(line)
    assert found is not None, line
    name, brace, rest = found.groups()
    return f'{name}{{node="{node}",{rest}' if brace else f'{name}{{node="{node}"}}{rest}'
