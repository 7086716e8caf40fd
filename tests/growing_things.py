"""Finds what can grow in the code: queues, and lists, dictionaries and sets that objects keep. By syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

QUEUES = {
    "Queue",
    "LifoQueue",
    "PriorityQueue",
    "SimpleQueue",
    "JoinableQueue",
    "deque",
    "Commands",
    "ThreadPoolExecutor",
}
CONTAINERS = {"list", "dict", "set", "bytearray", "OrderedDict", "defaultdict", "Counter"}


def growing(source: str, containers: bool = True) -> Iterator[str]:
    """``Class.attribute`` or ``NAME`` of everything in ``source`` that is made empty and kept; without ``containers``
    queues alone. A deque with ``maxlen`` says its bound itself. What a function keeps to itself goes with it."""
    kinds = QUEUES | CONTAINERS if containers else QUEUES
    tree = ast.parse(source)
    for top in ast.walk(tree):
        if isinstance(top, ast.ClassDef):
            for node in ast.walk(top):
                for target, value in _set(node):
                    own = isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self"
                    field = isinstance(target, ast.Name) and node in top.body
                    if (own or field) and _grows(value, kinds):
                        yield f"{top.name}.{target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)}"
    for node in tree.body:
        for target, value in _set(node):
            if isinstance(target, ast.Name) and _grows(value, kinds):
                yield target.id


def _set(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """What an assignment sets to what."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return [(node.target, node.value)]
    if not isinstance(node, ast.Assign):
        return []
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(one, value) for one in node.targets]


def _grows(value: ast.expr, kinds: set[str]) -> bool:
    """Whether it is made empty, and nothing says how much goes in."""
    if isinstance(value, (ast.List, ast.Set)):
        return "list" in kinds and not value.elts
    if isinstance(value, ast.Dict):
        return "dict" in kinds and not value.keys
    if not isinstance(value, ast.Call):
        return False
    name = _last(value.func)
    if name == "field":
        made = [keyword.value for keyword in value.keywords if keyword.arg == "default_factory"]
        return bool(made) and _last(made[0]) in kinds
    if name == "deque" and (len(value.args) > 1 or any(keyword.arg == "maxlen" for keyword in value.keywords)):
        return "None" in [ast.unparse(part) for part in [*value.args[1:], *(k.value for k in value.keywords)]]
    return name in kinds and (name in QUEUES or not value.args)


def _last(node: ast.expr) -> str:
    """The last part of a dotted name; also of one with a type in brackets."""
    if isinstance(node, ast.Subscript):
        return _last(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def found(root: Path, folder: str, containers: bool) -> set[str]:
    """``path:name`` of all of it below ``folder``, or in that file."""
    files = [root / folder] if folder.endswith(".py") else sorted((root / folder).rglob("*.py"))
    return {f"{path.relative_to(root)}:{name}" for path in files for name in growing(path.read_text(), containers)}
