"""Live pictures in a real chromium, read back from a canvas: both codecs show the portrait's colours."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from serving import Running
from websockets.sync.client import connect

from engine.face.avatar import Avatar
from engine.paths import assets
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.browser

PLACES = {"suit": (480, 0), "background left": (0, 0), "background right": (0, 416)}  # row, column in 512 pixels
SIDE = 32
WATCH = """async ([address, places, side]) => {
    const one = async (name) => {
        const connection = new RTCPeerConnection();
        const video = document.createElement('video');
        video.muted = true;
        document.body.append(video);
        connection.ontrack = (event) => {
            if (event.track.kind === 'video') {
                video.srcObject = new MediaStream([event.track]);
                video.play();
            }
        };
        connection.addTransceiver('audio', {direction: 'recvonly'});
        const codecs = RTCRtpReceiver.getCapabilities('video').codecs.filter((codec) => codec.mimeType === name);
        connection.addTransceiver('video', {direction: 'recvonly'}).setCodecPreferences(codecs);
        await connection.setLocalDescription();
        await new Promise((done) => {
            connection.onicegatheringstatechange = () => connection.iceGatheringState === 'complete' && done();
        });
        const headers = {'Content-Type': 'application/sdp'};
        const answer = await fetch(address, {method: 'POST', headers, body: connection.localDescription.sdp});
        await connection.setRemoteDescription({type: 'answer', sdp: await answer.text()});
        for (let seen = 0; seen < 15; seen++) {
            await new Promise((done) => video.requestVideoFrameCallback(done));  // the first pictures are coarse
        }
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = video.videoWidth;
        const context = canvas.getContext('2d');
        context.drawImage(video, 0, 0);
        const shown = places.map(([row, column]) => [...context.getImageData(column, row, side, side).data]);
        connection.close();
        return shown;
    };
    return Promise.all(['video/VP8', 'video/H264'].map(one));
}"""


def test_both_codecs_show_the_portraits_colours(browser: Any, server: Running) -> None:
    meant = Renderer(Avatar.load(assets() / "avatars" / "astronaut"), 512).render(still())
    with connect(f"ws{server.url.removeprefix('http')}/api/voice?avatar=astronaut") as socket:
        hello = json.loads(socket.recv())
        page = browser.new_page()
        page.goto(server.url)
        shown = page.evaluate(WATCH, [f"/whep/{hello['watch']}", list(PLACES.values()), SIDE])
        page.close()
    for codec, places in zip(("VP8", "H264"), shown, strict=True):
        for (name, (row, column)), pixels in zip(PLACES.items(), places, strict=True):
            got = np.array(pixels).reshape(-1, 4)[:, :3].mean(0)
            wanted = meant[row : row + SIDE, column : column + SIDE].reshape(-1, 3).mean(0)
            assert got == pytest.approx(wanted, abs=3), f"{name} in {codec}"
