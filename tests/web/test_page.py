"""The page in a real chromium with a fake microphone: what a person would see, measured from the picture's pixels."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from driven_page import opened, start, state
from serving import Running, running

pytestmark = pytest.mark.browser

LEAST_FPS = 15
HEARD_S = 5.5  # the fake microphone's silence and speech, over and over; see conftest.py
# Every new picture of the video: when it came, its size, and the brightness of the mouth's pixels.
WATCH = """
() => {
  const video = document.getElementById("face");
  const [x, y, width, height] = [215, 275, 85, 35];
  const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  window.seen = [];
  const look = (now, { width: w, height: h }) => {
    pen.drawImage(video, x, y, width, height, 0, 0, width, height);
    const { data } = pen.getImageData(0, 0, width, height);
    const mouth = [];
    for (let i = 1; i < data.length; i += 4 * 7) mouth.push(data[i]);
    window.seen.push({ now, mouth, width: w, height: h });
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}
"""


@pytest.fixture
def page(browser: Any, server: Running) -> Iterator[Any]:
    yield from opened(browser, server.url)


def movement(pictures: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds, and how much the mouth changed from each picture to the next."""
    mouths = np.array([p["mouth"] for p in pictures], float)
    times = np.array([p["now"] for p in pictures]) / 1000
    return times[1:], np.abs(np.diff(mouths, axis=0)).mean(axis=1)


def test_the_face_speaks_with_the_microphone_and_rests_in_silence(page: Any, server: Running) -> None:
    assert page.is_visible("#portrait")
    start(page, "microphone")
    page.evaluate(WATCH)
    time.sleep(HEARD_S + 2)
    pictures = page.evaluate("window.seen")
    assert {(p["width"], p["height"]) for p in pictures} == {(512, 512)}
    fps = (len(pictures) - 1) / ((pictures[-1]["now"] - pictures[0]["now"]) / 1000)
    assert fps >= LEAST_FPS
    times, moved = movement(pictures)
    seconds = [moved[(times >= t) & (times < t + 1)].mean() for t in np.arange(times[0], times[-1] - 1, 0.5)]
    assert max(seconds) > 4 * min(seconds), "the mouth must move in speech and rest in silence"
    panel = page.inner_text("#figures")
    assert "Voice to picture" in panel
    assert 100 < float(page.inner_text("#f-total")) < 1000
    page.click("#start")
    assert state(page) == "idle"
    until = time.monotonic() + 5
    while server.sessions and time.monotonic() < until:
        time.sleep(0.05)
    assert server.sessions == 0


def test_the_sample_speaks_without_a_microphone(page: Any) -> None:
    start(page, "sample")
    page.wait_for_selector("#stage.speaking", timeout=15_000)
    assert page.get_attribute("#hear", "aria-pressed") == "true"
    page.click("#hear")
    assert page.evaluate("document.getElementById('face').muted")
    page.click("#start")


def test_another_face_is_chosen_with_the_keyboard_and_speaks(page: Any, server: Running) -> None:
    faces = page.get_by_role("group", name="Face").get_by_role("radio")
    assert faces.count() == 5
    assert all(faces.nth(i).get_attribute("value") == name for i, name in enumerate(server.service.engine.avatars()))
    assert page.get_by_role("radio", name="Astronaut").is_checked(), "the default"
    page.focus("input[value=astronaut]")
    page.keyboard.press("ArrowRight")
    chosen = page.get_by_role("radio", name="Lady by lake")
    assert chosen.is_checked()
    assert page.inner_text("#face-name") == "Lady by lake"
    assert "lady_by_lake" in page.get_attribute("#portrait", "data-path")
    page.wait_for_function("() => document.getElementById('portrait').naturalWidth === 512")
    start(page, "sample")
    (stream,) = server.service.sessions.values()
    assert stream.avatar == "lady_by_lake"
    page.wait_for_selector("#stage.speaking", timeout=15_000)
    page.click("#start")
    page.wait_for_selector("input[value=lady_by_lake]:checked", state="attached")


def test_more_is_folded_and_tells_a_running_session(page: Any, server: Running) -> None:
    for hidden in ("#mood", "#gaze", "#brows", "#expressiveness", "#style", "#guidance"):
        assert not page.is_visible(hidden), f"{hidden} is for those who ask for more"
    start(page, "sample")
    (stream,) = server.service.sessions.values()
    told: list[Any] = []
    tell = stream.participants.tell
    stream.participants.tell = lambda message: (told.append(message), tell(message))  # type: ignore[method-assign]
    page.click("#more summary")
    page.select_option("#mood", "happy")
    page.select_option("#gaze", "left")
    page.fill("#brows", "-40")
    assert page.inner_text("#brows-value") == "−40 %"
    page.fill("#style", "40")
    page.fill("#guidance", "60")
    assert (page.inner_text("#style-value"), page.inner_text("#guidance-value")) == ("40 %", "6.0")
    wished = {"expressiveness": 1, "emotions": {"happy": 1}, "gaze_left": -0.7, "gaze_up": 0, "brows": -0.4}
    wished |= {"style": 0.4, "guidance": 6}
    until, last = time.monotonic() + 5, {}
    while not wished.items() <= last.items() and time.monotonic() < until:
        time.sleep(0.05)
        last = next((m.controls for m in reversed(told) if m.type == "settings"), {})
    assert wished.items() <= last.items()
    page.click("#start")


def test_sliders_mute_and_a_lost_connection(page: Any, server: Running) -> None:
    start(page, "sample")
    stream = next(iter(server.service.sessions.values()))
    page.click("#more summary")
    page.evaluate(
        """() => { for (const [id, value] of [["look-ahead", "0"], ["expressiveness", "150"]]) {
          const slider = document.getElementById(id); slider.value = value;
          slider.dispatchEvent(new Event("input")); slider.dispatchEvent(new Event("change")); } }"""
    )
    assert page.inner_text("#expressiveness-value") == "150 %"
    until = time.monotonic() + 5
    while stream.look_ahead_ms != 0 and time.monotonic() < until:
        time.sleep(0.05)
    assert stream.look_ahead_ms == 0, "a running session takes another look-ahead"
    assert page.get_attribute("#mute", "aria-pressed") == "true"
    page.click("#mute")
    assert page.inner_text("#mute-text") == "Speak again"
    # The server loses the session without a word, as a broken line does: the page gets another one.
    stream.participants.tell = lambda message: None  # type: ignore[method-assign]
    stream._loop.call_soon_threadsafe(stream.end, "")
    page.wait_for_selector("body[data-state=connecting]", timeout=15_000)
    page.wait_for_selector("body[data-state=live]", timeout=20_000)
    again = next(iter(server.service.sessions.values()))
    assert again.name != stream.name
    assert again.look_ahead_ms == 0
    page.click("#start")
    assert state(page) == "idle"


def test_a_portrait_that_is_none_is_refused_in_words(page: Any) -> None:
    page.wait_for_selector("#bring:visible")
    junk = {"name": "me.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" + bytes(100)}
    page.set_input_files("#photo", junk)
    assert "Tick the box" in page.inner_text("#message"), "first the person must have agreed"
    page.check("#consent")
    for odd, words in (
        ({**junk, "mimeType": "image/gif"}, "choose a JPEG"),
        ({**junk, "buffer": b""}, "is empty"),
        ({**junk, "buffer": bytes(13 << 20)}, "at most 12 MB"),
    ):
        page.set_input_files("#photo", odd)
        assert words in page.inner_text("#message"), "said before it is sent"
    page.set_input_files("#photo", junk)
    page.wait_for_selector("#message:has-text('no picture that can be read')", timeout=30_000)
    assert page.inner_text("#bring-text") == "Bring a portrait"
    assert page.is_enabled("#start")


def refused(name: str) -> str:
    return f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('no', '{name}'); }};"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (refused("NotAllowedError"), "microphone is blocked"),
        (refused("NotFoundError"), "No microphone was found"),
        (refused("NotReadableError"), "in use by another program"),
        ("delete window.RTCPeerConnection;", "no WebRTC"),
    ],
)
def test_what_fails_is_said_in_words(browser: Any, server: Running, script: str, words: str) -> None:
    for page in opened(browser, server.url, script):
        if page.is_enabled("#start"):
            page.click("#start")
        page.wait_for_selector("#message:visible")
        assert words in page.inner_text("#message")
        assert server.sessions == 0


def test_a_full_server_and_a_lost_one_are_said_in_words(browser: Any) -> None:
    with running(max_sessions=1) as server:
        for first in opened(browser, server.url):
            start(first, "sample")
            for second in opened(browser, server.url):
                second.check("input[value=sample]", force=True)
                second.click("#start")
                second.wait_for_selector("#message:visible")
                assert "full" in second.inner_text("#message")
            assert state(first) == "live"
            name = next(iter(server.service.sessions))
            first.evaluate(f"fetch('/api/session/{name}', {{ method: 'DELETE' }})")
            first.wait_for_selector("#message:visible")
            assert "ended" in first.inner_text("#message")
            assert state(first) == "lost"
            assert first.inner_text("#start") == "Start"


def in_view(page: Any, words: str) -> None:
    """The button says ``words`` and lies within the window, which nobody has scrolled."""
    assert page.inner_text("#start") == words
    assert page.evaluate("scrollY") == 0
    box, window = page.locator("#start").bounding_box(), page.viewport_size
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= window["width"]
    assert box["y"] + box["height"] <= window["height"]


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844), (360, 640)])
def test_start_and_stop_are_in_view_without_scrolling(browser: Any, server: Running, width: int, height: int) -> None:
    phone = {"is_mobile": True, "has_touch": True} if width < 800 else {}
    space = browser.new_context(viewport={"width": width, "height": height}, **phone)
    page = space.new_page()
    page.goto(server.url)
    page.wait_for_selector("#start:enabled")
    in_view(page, "Start")
    covered = page.locator(".choices").bounding_box()
    assert covered["y"] + covered["height"] <= page.locator("#start").bounding_box()["y"], "it covers no choice"
    start(page, "sample")
    page.wait_for_selector("#figures:visible", timeout=10_000)
    in_view(page, "Stop")
    page.click("#start")
    assert state(page) == "idle"
    space.close()


def test_the_page_fits_a_phone(browser: Any, server: Running) -> None:
    space = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page = space.new_page()
    page.goto(server.url)
    page.wait_for_selector("#start:enabled")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for control in page.query_selector_all("button:visible, .choice, #face-list label, #bring, summary:visible"):
        assert control.bounding_box()["height"] >= 40
    space.close()


def test_the_page_comes_back_to_a_server_that_was_restarted(browser: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(port=port, drain_seconds=0.5) as server:
        pages = opened(browser, server.url)
        page = next(pages)
        start(page, "sample")
        server.drain()
        page.wait_for_selector("body[data-state=connecting]", timeout=10_000)
        assert page.inner_text("#veil-text") == "Reconnecting"
        time.sleep(0.5)  # the server has gone
    with running(port=port) as server:
        page.wait_for_selector("body[data-state=live]", timeout=20_000)
        (session,) = server.service.sessions.values()
        page.wait_for_selector("#stage.speaking", timeout=20_000)
        assert session.stats()["voice_ms"]["received"] > 0, "and it talks again"
        page.click("#start")
        assert state(page) == "idle"
    next(pages, None)


HEARD = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => (window.heard = await open(wanted));
"""


def test_the_microphone_is_taken_as_it_is_for_music(browser: Any, server: Running) -> None:
    """Else chromium takes a held note for noise, and 19 dB from it."""
    page = next(pages := opened(browser, server.url, HEARD))
    page.click("#more summary")
    for raw in (True, False):
        page.set_checked("#raw", raw)
        start(page, "microphone")
        assert page.is_disabled("#raw"), "it holds until the session ends"
        settings = page.evaluate("window.heard.getAudioTracks()[0].getSettings()")
        made = [settings[name] for name in ("echoCancellation", "noiseSuppression", "autoGainControl")]
        assert made == [not raw] * 3
        page.click("#start")
    next(pages, None)
