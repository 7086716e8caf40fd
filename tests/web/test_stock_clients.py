"""Clients that nobody here wrote: FFmpeg's WHIP muxer publishes, and a WHEP player off npm's shelf watches.

The player is skipped where npm has not got it: `npm install -g @binbat/whip-whep`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from serving import Running

from engine.paths import assets

PLAYER = "@binbat/whip-whep/whep.js"  # by one of WHIP's authors; MIT
LEAST_PICTURES = 30
PUBLISHER = """
import sys, time
import av

voice, url, folder = sys.argv[1:]
keys = {"cert_file": f"{folder}/cert.pem", "key_file": f"{folder}/key.pem"}
with av.open(voice) as source, av.open(url, "w", format="whip", options=keys) as sink:
    out = sink.add_stream("libopus", rate=48_000, layout="stereo", options={"frame_duration": "20"})
    pieces = av.AudioResampler("s16", "stereo", 48_000, frame_size=960)
    began = time.monotonic()
    for frame in source.decode(audio=0):
        for piece in pieces.resample(frame):
            sink.mux(out.encode(piece))
            time.sleep(max(0.0, began + piece.pts / 48_000 - time.monotonic()))
"""
WATCH = """
async ([url, script]) => {
  const { WHEPClient } = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const video = document.createElement("video");
  video.muted = true;
  for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
  pc.ontrack = ({ track, streams }) => { if (track.kind === "video") video.srcObject = streams[0]; };
  window.seen = [];
  const look = (now, { width, height }) => {
    window.seen.push([width, height]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  window.player = new WHEPClient();
  await window.player.view(pc, url);
  await video.play();
}
"""


@pytest.fixture
def publisher(server: Running, tmp_path: Path) -> Iterator[str]:
    """The name of a session that FFmpeg speaks in."""
    if "whip" not in av.formats_available:
        pytest.skip("PyAV's FFmpeg has no WHIP muxer: it came with FFmpeg 8")
    write_certificate(tmp_path)
    known = set(server.service.sessions)
    command = [sys.executable, "-c", PUBLISHER, assets() / "speech.wav", f"{server.url}/whip/astronaut", tmp_path]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 20
        while not any(heard(server, name) for name in set(server.service.sessions) - known):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < until, "FFmpeg's voice did not come"
            time.sleep(0.05)
        (name,) = set(server.service.sessions) - known
        yield name
    finally:
        process.kill()
        process.communicate()


def write_certificate(folder: Path) -> None:
    """A certificate for FFmpeg: where it uses GnuTLS it makes itself one on P-224, which OpenSSL turns down."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(built.public_bytes(pem))
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(plain)


def heard(server: Running, name: str) -> bool:
    return bool(server.service.sessions[name].stats()["voice_ms"]["received"] > 500)


@pytest.fixture
def player() -> str:
    """The player's source."""
    try:
        root = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        pytest.skip("npm is not installed")
    if not (Path(root) / PLAYER).is_file():
        pytest.skip("npm install -g @binbat/whip-whep gets the player that is tried here")
    return (Path(root) / PLAYER).read_text()


@pytest.mark.net
def test_ffmpeg_publishes(publisher: str, server: Running) -> None:
    stats = server.service.sessions[publisher].stats()
    assert stats["voice_ms"]["received"] > 500
    assert stats["voice_ms"]["lost"] == 0


@pytest.mark.browser
def test_a_stock_player_watches_what_ffmpeg_publishes(
    publisher: str, player: str, browser: Any, server: Running
) -> None:
    space = browser.new_context(bypass_csp=True)  # the player is another page's
    page = space.new_page()
    page.goto(server.url)
    page.evaluate(WATCH, [f"{server.url}/whep/{publisher}", player])
    page.wait_for_function(f"window.seen.length >= {LEAST_PICTURES}", timeout=20_000)
    assert [512, 512] in page.evaluate("window.seen")
    assert len(server.service.sessions[publisher].viewers) == 1
    page.evaluate("() => window.player.stop()")
    page.wait_for_timeout(300)
    assert not server.service.sessions[publisher].viewers, "the player's DELETE ends it"
    space.close()
