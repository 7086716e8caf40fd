#!/usr/bin/env bash
# FFmpeg's WHIP muxer, built with GnuTLS as in PyAV's wheel, makes itself a certificate on P-224, a curve that WebRTC
# peers on OpenSSL do not take, so that the DTLS handshake fails, and nothing in the messages says why.
#
# Versions: av 18.1.0 (FFmpeg 8.1.2, GnuTLS), aiortc 1.16.0, pyOpenSSL 26.4.0 (OpenSSL 4.0.3). Seen: 2026-11-28.
# Output:
#   guess: FFmpeg's WHIP muxer publishes to any WebRTC server
#   seen: its own certificate: on P-224; error: OSError: DTLS session failed; 0 pictures came
#   seen: a certificate given to it: on P-256; error: none; 49 pictures came
#
# For builders: the muxer logs "A TLS fatal alert has been received", the server an empty list of errors; it looks like
# a quarrel about ciphers and is none (all ciphers of OpenSSL allowed: the same). Give the muxer a key of your own on
# P-256, which every WebRTC peer has to know, by its options cert_file and key_file, or use an FFmpeg built with
# OpenSSL. The publisher is a process of its own here, because PyAV holds Python's lock while a muxer connects
# (pyav_first_mux_connects.sh).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
    av==18.1.0 aiortc==1.16.0 aioice==0.13.0 pyOpenSSL==26.4.0 cryptography==50.0.2 numpy==2.3.5
cd "$dir"

cat > publish.py <<'PY'
"""Two seconds of picture and silence to a WHIP server; prints what went wrong, or `none`."""
import sys
import time

import av
import numpy as np

url, *own = sys.argv[1:]
av.logging.set_level(av.logging.ERROR)
options = {"handshake_timeout": "5000"}
if own:
    options |= {"cert_file": own[0], "key_file": own[1]}
try:
    with av.open(url, "w", format="whip", options=options) as out:
        live = {"profile": "baseline", "preset": "ultrafast", "tune": "zerolatency"}
        video = out.add_stream("libx264", rate=25, options=live)
        video.width, video.height, video.pix_fmt = 128, 128, "yuv420p"
        audio = out.add_stream("libopus", rate=48000)
        audio.layout = "stereo"
        start = time.monotonic()
        for n in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((128, 128, 3), 4 * n, np.uint8), format="rgb24")
            picture.pts = n
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1920), np.int16), format="s16", layout="stereo")
            sound.sample_rate, sound.pts = 48000, 1920 * n
            out.mux(video.encode(picture))
            out.mux(audio.encode(sound))
            time.sleep(max(0.0, start + 0.04 * (n + 1) - time.monotonic()))
        time.sleep(0.3)
    print("none")
except av.error.FFmpegError as error:
    said = (error.log[2] if error.log else error.strerror).strip()
    print(f"{'OSError' if isinstance(error, OSError) else type(error).__name__}: {said}")
PY

cat > serve.py <<'PY'
"""A WHIP server on aiortc as it comes, and two publishers."""
import asyncio
import datetime
import http.server
import subprocess
import sys
import threading

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

CURVES = {b"\x06\x05\x2b\x81\x04\x00\x21": "P-224", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07": "P-256"}
curves: list[str] = []  # of certificates that came
pictures: list[int] = []
connections: list[RTCPeerConnection] = []


async def answer(offer: str) -> str:
    connection = RTCPeerConnection(RTCConfiguration([]))  # no server is asked
    connections.append(connection)

    @connection.on("track")
    def take(track) -> None:
        async def receive() -> None:
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    pictures.append(frame.pts)

        task = asyncio.ensure_future(receive())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    dtls = connection.getTransceivers()[0].receiver.transport
    receive_datagram = dtls.transport._recv

    async def look() -> bytes:
        data = await receive_datagram()
        curves.extend(name for oid, name in CURVES.items() if data[0] == 22 and oid in data)
        return data

    dtls.transport._recv = look
    await connection.setLocalDescription(await connection.createAnswer())
    return connection.localDescription.sdp


class Whip(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
        body = asyncio.run_coroutine_threadsafe(answer(offer), loop).result(20).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/sdp")
        self.send_header("Location", "/session")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def make_certificate() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
    made = builder.not_valid_after(now + datetime.timedelta(days=7)).sign(key, hashes.SHA256())
    with open("certificate.pem", "wb") as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))
    with open("key.pem", "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


async def publish(*own: str) -> tuple[str, str, int]:
    curves.clear()
    pictures.clear()
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "publish.py", url, *own], stdout=subprocess.PIPE, text=True, timeout=40
    )
    for connection in connections:
        await connection.close()
    connections.clear()
    return " and ".join(sorted(set(curves))), done.stdout.strip(), len(pictures)


async def main() -> bool:
    global loop, url
    loop = asyncio.get_running_loop()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Whip)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/whip"
    make_certificate()
    print(f"versions: av {av.__version__} (FFmpeg {av.ffmpeg_version_info}), {SSL.SSLeay_version(0).decode()}")
    print("guess: FFmpeg's WHIP muxer publishes to any WebRTC server")
    curve, error, came = await publish()
    print(f"seen: its own certificate: on {curve}; error: {error}; {came} pictures came")
    refused = curve == "P-224" and error != "none" and came == 0
    curve, error, came = await publish("certificate.pem", "key.pem")
    print(f"seen: a certificate given to it: on {curve}; error: {error}; {came} pictures came")
    server.shutdown()
    return refused and curve == "P-256" and error == "none" and came >= 10


if not asyncio.run(main()):
    sys.exit("CHANGED: this is no longer what was seen on 2026-11-28")
print("as seen on 2026-11-28")
PY
venv/bin/python serve.py
