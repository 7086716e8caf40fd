"""The page in a browser, driven as a person would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def opened(browser: Any, url: str, script: str = "", **context: Any) -> Iterator[Any]:
    """A fresh page, ready to start; whatever it logs as an error fails the test."""
    space = browser.new_context(viewport={"width": 1280, "height": 800}, **context)
    page = space.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    if script:
        page.add_init_script(script)
    page.goto(url)
    page.wait_for_selector("body[data-state]")
    yield page
    space.close()
    assert not problems, problems


def state(page: Any) -> str:
    return str(page.evaluate("document.body.dataset.state"))


def start(page: Any, voice: str) -> None:
    page.check(f"input[value={voice}]", force=True)
    page.click("#start")
    page.wait_for_selector("body[data-state=live]", timeout=20_000)
    page.wait_for_selector("#stage.playing", timeout=10_000)
