"""Our buffers and encoder in place of aiortc's, packet by packet."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc import RTCCertificate, RTCRtpCodecParameters, rtcrtpsender
from aiortc.codecs import h264, vpx
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket
from av import CodecContext, VideoFrame
from av.video.codeccontext import VideoCodecContext
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from webrtc.rtc.aiortc_patches import LEAST_BITRATE, MOST_BITRATE, patch_aiortc
from webrtc.rtc.jitter_buffers import PictureBuffer, VoiceBuffer
from webrtc.rtc.sending import picture_encoders
from webrtc.rtc.sending.picture_encoders import PictureEncoder

pytestmark = pytest.mark.cpu


def packet(number: int, picture: int | None = None, last: bool = True) -> RtpPacket:
    made = RtpPacket(sequence_number=number & 0xFFFF, timestamp=1000 * (number if picture is None else picture))
    made.marker = int(last)
    made._data = bytes([number & 0xFF])  # type: ignore[attr-defined]
    return made


def taken(buffer: JitterBuffer, packets: list[RtpPacket]) -> list[bytes]:
    return [frame.data for _, frame in map(buffer.add, packets) if frame is not None]


def test_a_voice_packet_does_not_wait() -> None:
    buffer = VoiceBuffer()
    for number in range(65_530, 65_545):  # past the wrap-around
        pli, frame = buffer.add(packet(number))
        assert not pli
        assert frame is not None
        assert frame.data == bytes([number & 0xFF])


def test_voice_goes_on_after_a_loss_and_never_backwards() -> None:
    order = [0, 1, 4, 3, 4, 5]
    assert taken(VoiceBuffer(), [packet(n) for n in order]) == [bytes([n]) for n in (0, 1, 4, 5)]


def test_a_picture_is_whole_with_its_last_packet() -> None:
    buffer = PictureBuffer()
    assert buffer.add(packet(65_535, 1, last=False)) == (False, None)
    assert buffer.add(packet(65_536, 1, last=False)) == (False, None)
    _, frame = buffer.add(packet(65_537, 1))
    assert frame is not None
    assert (frame.data, frame.timestamp) == (b"\xff\x00\x01", 1000)


def test_a_picture_waits_for_a_packet_sent_again() -> None:
    packets = [packet(n, n // 2, last=n % 2 == 1) for n in range(8)]
    order = [0, 1, 3, 4, 5, 2, 6, 7]
    assert taken(PictureBuffer(), [packets[n] for n in order]) == [b"\x00\x01", b"\x02\x03", b"\x04\x05", b"\x06\x07"]


def test_a_picture_lost_for_good_is_passed_over_and_a_whole_one_asked_for() -> None:
    buffer = PictureBuffer()
    asked = [buffer.add(packet(n))[0] for n in range(400) if n != 5]
    assert asked.count(True) == 1
    assert taken(buffer, [packet(n) for n in range(400, 410)]) == [bytes([n & 0xFF]) for n in range(400, 410)]


def test_aiortc_is_tuned_for_every_new_receiver() -> None:
    patch_aiortc()
    patch_aiortc()
    for codec, encoder in ((vpx, vpx.Vp8Encoder()), (h264, h264.H264Encoder())):
        assert encoder.target_bitrate == codec.DEFAULT_BITRATE
        encoder.target_bitrate = 1
        assert encoder.target_bitrate == LEAST_BITRATE
        encoder.target_bitrate = 10**9
        assert encoder.target_bitrate == MOST_BITRATE

    class Transport:
        state = "new"

    for kind, buffer in (("audio", VoiceBuffer), ("video", PictureBuffer)):
        receiver = RTCRtpReceiver(kind, Transport())
        assert isinstance(receiver._RTCRtpReceiver__jitter_buffer, buffer)


def test_an_encoder_is_made_anew_for_another_size_or_rate_and_not_else(monkeypatch: pytest.MonkeyPatch) -> None:
    patch_aiortc()
    monkeypatch.setattr(picture_encoders, "usable_cores", lambda: 64)  # whoever else encodes just now
    parameters = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=97)
    encoder = rtcrtpsender.get_encoder(parameters)
    assert isinstance(encoder, PictureEncoder)

    def encode(side: int, k: int) -> VideoCodecContext:
        grain = np.random.default_rng(k).integers(0, 255, (side * 3 // 2, side), dtype=np.uint8)
        frame = VideoFrame.from_ndarray(grain, format="yuv420p")
        frame.pts, frame.time_base = 3600 * k, Fraction(1, 90_000)
        payloads, timestamp = encoder.encode(frame)
        assert payloads
        assert timestamp == 3600 * k
        assert encoder.codec is not None
        return encoder.codec

    first = encode(64, 0)
    assert encode(64, 1) is first
    larger = encode(128, 2)
    assert larger is not first
    encoder.target_bitrate = int(encoder.target_bitrate * 0.95)
    assert encode(128, 3) is larger, "a small change is not worth a whole picture"
    encoder.target_bitrate = int(encoder.target_bitrate * 0.6)
    slower = encode(128, 4)
    assert slower is not larger
    assert slower.bit_rate == encoder.target_bitrate


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize("key", [rsa.generate_private_key(65_537, 2048), ec.generate_private_key(ec.SECP256R1())])
def test_other_sides_with_either_kind_of_certificate_are_understood(key: object, client: bool) -> None:
    """GStreamer's clients have RSA certificates, browsers elliptic ones; aiortc alone takes only the latter."""
    patch_aiortc()
    theirs = SSL.Context(SSL.DTLS_METHOD)
    theirs.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    theirs.use_privatekey(key)  # type: ignore[arg-type]
    theirs.use_certificate(certificate(key))
    ours = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    theirs.set_tlsext_use_srtp(SRTP_PROFILES[0].openssl_profile)
    ends = [SSL.Connection(ours), SSL.Connection(theirs)]
    ends[client].set_accept_state()
    ends[not client].set_connect_state()
    done: set[SSL.Connection] = set()
    for _ in range(8):
        for one, other in (ends, ends[::-1]):
            try:
                one.do_handshake()
                done.add(one)
            except SSL.WantReadError:
                pass
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65_536))
    assert len(done) == 2
    assert ends[0].get_selected_srtp_profile() == SRTP_PROFILES[0].openssl_profile


def certificate(key: Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    now = datetime.now(UTC)
    return builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1)).sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("del rtcrtpreceiver.JitterBuffer", "aiortc.rtcrtpreceiver.JitterBuffer .* it is not there"),
        ("rtcrtpsender.get_encoder = lambda name: None", "get_encoder .* it takes no codec"),
        ("vpx.MAX_BITRATE = None", "aiortc.codecs.vpx.MAX_BITRATE .* it is no number"),
        ("del aioice.ice.Connection.check_incoming", "aioice .* Connection.check_incoming .* install aioice 0.13"),
    ],
)
def test_an_aiortc_whose_names_have_changed_is_refused_at_start(change: str, sentence: str) -> None:
    code = (
        "import aioice.ice\nfrom aiortc import rtcrtpreceiver, rtcrtpsender\nfrom aiortc.codecs import vpx\n"
        "from webrtc.rtc.aiortc_patches import patch_aiortc\nfrom engine.errors import VivifyError\n"
        f"{change}\ntry:\n    patch_aiortc()\nexcept VivifyError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.search(sentence, done.stdout)
    assert re.search(r"install aio\w+ [\d.]+, for example", done.stdout)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("del H11Protocol.on_response_complete", "H11Protocol.on_response_complete .* it is not there"),
        ("uvicorn.Server.__init__ = lambda self, config: None", "Server.force_exit .* install uvicorn 0.54"),
        ("sys.modules['uvicorn.protocols.websockets.websockets_sansio_impl'] = None", "0.51 or newer was expected"),
    ],
)
def test_a_uvicorn_whose_insides_have_changed_is_refused_at_start(change: str, sentence: str) -> None:
    code = (
        "import sys\nimport uvicorn\nfrom uvicorn.protocols.http.h11_impl import H11Protocol\n"
        f"from engine.errors import VivifyError\n{change}\n"
        "try:\n    import webrtc.upkeep.app_server\nexcept VivifyError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.search(sentence, done.stdout)


def test_h264_says_which_colours_it_sends() -> None:
    """Else chromium takes it for BT.709."""
    patch_aiortc()
    parameters = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=102)
    encoder = rtcrtpsender.get_encoder(parameters)
    frame = VideoFrame(64, 64, "yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    packets, _ = encoder.encode(frame)
    stream = b"".join(map(h264.h264_depayload, packets))
    decoder = CodecContext.create("h264", "r")
    shown = [shown for packet in decoder.parse(stream) + decoder.parse(b"") for shown in decoder.decode(packet)]
    shown += decoder.decode(None)
    told = shown[0]
    assert (told.colorspace, told.color_range, told.color_primaries, told.color_trc) == (6, 1, 1, 1)
    assert encoder.codec.name == "libx264"
