"""The documents are true: files they name exist, options they name exist, and nothing is missing from them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest
import typer.main

from clients.cli import app
from docs.markdown import PAGES, ROOT, commands, quoted, snippets

pytestmark = pytest.mark.cpu

FOLDERS = ("kernels", "engine", "webrtc", "clients", "scripts")
ENDINGS = "py|js|mjs|md|json|jsonl|csv|png|jpg|svg|webp|conf|yml|sh|toml|txt"
MADE = {"preview.png", "talk.json", "keys.json", "OUT.json"}  # by the product, where it runs
THEIRS = {"--extra-index-url", "--index-url"}  # options of other people's commands


def tracked(*folders: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.split()


def tree() -> set[str]:
    """Paths of docs/tree.md: indented names under their folders."""
    text = (ROOT / "docs" / "tree.md").read_text().split("```")[1]
    paths, above = set(), [""]
    for line in text.splitlines()[1:]:
        found = re.match(r"^( *)(\S+)", line)
        if not found:
            continue
        depth, name = len(found[1]) // 2, found[2]
        above = above[: depth + 1]
        if name.endswith("/"):
            above.append(above[depth] + name)
        else:
            paths.add(above[depth] + name)
    return paths


def test_the_tree_names_every_source_file_and_nothing_else() -> None:
    there = {p for p in tracked(*FOLDERS) if not p.endswith(("__init__.py", ".svg"))}
    named = {p for p in tree() if p.split("/")[0] in FOLDERS}
    assert not there - named, "files the tree does not name"
    assert not named - there, "files the tree names that do not exist"


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, f"docs/README.md does not lead to {page.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_a_page_names_exists(page: Path) -> None:
    names = {Path(path).name for path in tracked()}
    for said in quoted(page):
        for path in re.findall(rf"(?<![\w/.*-])((?:[\w*-]+/)*[\w*-]+\.(?:{ENDINGS}))(?![\w/])", said):
            if "/" in path:
                found = list(ROOT.glob(path)) or list(page.parent.glob(path))
                assert found or path.startswith("out/"), f"{page.name} names {path}, which does not exist"
            else:
                assert path in names | MADE or list(ROOT.glob(f"**/{path}")), f"{page.name} names {path}: no such file"
        for folder in re.findall(rf"(?<![\w/.])((?:{'|'.join(FOLDERS)}|docs|assets|benchmarks|tests)/[\w/*]*)", said):
            assert list(ROOT.glob(folder.rstrip("/"))) or list(ROOT.glob(folder + "*")), (
                f"{page.name} names {folder}, which does not exist"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"


def vivify() -> dict[str, set[str]]:
    """Options of every `vivify` command."""
    group = typer.main.get_command(app)
    options = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        params = [p for p in command.params if isinstance(p, click.Option) or hasattr(p, "secondary_opts")]
        options[name] = {opt for p in params for opt in (*p.opts, *p.secondary_opts) if opt.startswith("-")} | {
            "--help"
        }
    options["demo"] = options["serve"]  # which it passes them on to
    return options


def scripts_options() -> set[str]:
    """Every word that looks like an option in scripts/."""
    return {opt for p in (ROOT / "scripts").iterdir() for opt in re.findall(r"--[a-z][a-z-]+", p.read_text())}


def test_every_option_in_the_documents_exists() -> None:
    known = set().union(*vivify().values()) | scripts_options() | THEIRS | {"--version"}
    for page in PAGES:
        if page.parent.name == "findings":
            continue
        for said in quoted(page):
            for option in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", said):
                assert option in known, f"{page.name} names {option}, which no command has"


def test_every_option_of_a_command_line_belongs_to_its_command() -> None:
    table = vivify()
    for snippet in snippets("sh"):
        for line in commands(snippet):
            words = line.split()
            if words[0].endswith("vivify"):
                assert words[1] in table, f"{snippet.name}: there is no `vivify {words[1]}`"
                odd = {word for word in words if word.startswith("--")} - table[words[1]]
                assert not odd, f"{snippet.name}: `vivify {words[1]}` has no {odd}"
            elif "scripts/" in words[0]:
                script = ROOT / words[0].removeprefix("./")
                assert script.is_file(), f"{snippet.name}: {words[0]} does not exist"
                known = script.read_text()
                for option in (word for word in words[1:] if word.startswith("--")):
                    assert option in known, f"{snippet.name}: {words[0]} has no {option}"


def test_every_option_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    for command, options in vivify().items():
        if command == "demo":
            continue
        section = text.split(f"## `vivify {command}")
        assert len(section) == 2, f"docs/commands.md has no section on `vivify {command}`"
        said = section[1].split("\n## ")[0] + text.split("## Scripts")[0][-200:]
        for option in options - {"--help"}:
            assert f"`{option}" in said, f"docs/commands.md does not say what `vivify {command} {option}` does"
    assert "`--help`" in text


def test_the_readme_is_a_screen_and_a_half() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 75
    assert (ROOT / "docs" / "speaking.webp").stat().st_size < 2_000_000
