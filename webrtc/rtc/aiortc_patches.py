"""What we change about aiortc, in one place: bitrates, encoders, senders, receivers, ICE, ciphers.

aiortc keeps its bitrates as module constants and looks its encoder, receiver, jitter buffer and ICE connection up by
name in its modules; they are set here, once. Only its list of ciphers has no public name. An aiortc in which one of
these names is gone or means something else is refused at start: a patch that misses would only show as delay, weeks
later.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import aioice.ice
from aiortc import (
    RTCCertificate,
    RTCRtpCodecParameters,
    rtcdtlstransport,
    rtcicetransport,
    rtcpeerconnection,
    rtcrtpreceiver,
    rtcrtpsender,
    rtcsctptransport,
    rtp,
)
from aiortc.codecs import CODECS, get_encoder, h264, vpx
from aiortc.codecs.base import Encoder
from OpenSSL import SSL

from engine.contracts import FRAMES_PER_SECOND
from engine.errors import VivifyError
from webrtc.bounded_transports import SENT_BYTES, SENT_PACKETS, BoundedDtls, BoundedSctp
from webrtc.rtc.ice_restart import RestartableConnection
from webrtc.rtc.jitter_buffers import jitter_buffer
from webrtc.rtc.sending.picture_encoders import PictureEncoder, TaggedEncoder
from webrtc.rtc.sending.picture_sender import COUNTED, PictureSender
from webrtc.rtc.sending.sound_encoder import VoiceEncoder
from webrtc.rtc.voice_receiver import VoiceReceiver

START_BITRATE = 1_500_000  # bits per second: 512 x 512 is sharp (VP8 quantizer about 10 of 127)
LEAST_BITRATE = 800_000  # a receiver that asks for less gets this
MOST_BITRATE = 2_500_000
# aiortc's own, for certificates on elliptic curves, and the same for RSA, which GStreamer's clients have.
_KEY_EXCHANGES = ("ECDHE-ECDSA", "ECDHE-RSA")
CIPHERS = [
    f"{exchange}-{cipher}"
    for exchange in _KEY_EXCHANGES
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
]
# What is asked of those who send a voice: each packet may hold the last one's sound once more, coarser, in case that
# one was lost; libopus's encoders do so as soon as our reports tell of losses.
OPUS_WISHES: dict[str, int | str | None] = {"minptime": 10, "useinbandfec": 1}
ENCODERS: dict[str, Callable[[], Encoder]] = {
    "video/vp8": PictureEncoder,
    "video/h264": TaggedEncoder,
    "audio/opus": VoiceEncoder,
}
# What is counted for aiortc, under the names that its classes give it.
COUNTS = ((rtcrtpsender.RTCRtpSender, COUNTED), (rtcdtlstransport.RTCDtlsTransport, (SENT_BYTES, SENT_PACKETS)))
BITRATES = ("DEFAULT_BITRATE", "MIN_BITRATE", "MAX_BITRATE")
# What is called by aiortc under its own name: where it looks that name up, and what it hands over.
CALLED: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (rtcrtpsender, "get_encoder", ("codec",)),
    (rtcrtpsender, "RTCEncodedFrame", ("payloads", "timestamp", "audio_level")),
    (rtcrtpreceiver, "JitterBuffer", ("capacity", "prefetch", "is_video")),
    (rtcpeerconnection, "RTCRtpReceiver", ("kind", "transport")),
    (rtcpeerconnection, "RTCRtpSender", ("trackOrKind", "transport")),
    (rtcrtpsender.RTCRtpSender, "_send_keyframe", ("self",)),
    (rtcrtpsender.RTCRtpSender, "_next_encoded_frame", ("self", "codec")),
    (rtcrtpsender.RTCRtpSender, "_handle_rtcp_packet", ("self", "packet")),
    (rtcrtpsender.RTCRtpSender, "_retransmit", ("self", "sequence_number")),
    (rtcrtpsender.RTCRtpSender, "send", ("self", "parameters")),
    (rtp.HeaderExtensionsMap, "set", ("self", "values")),
    (rtcpeerconnection, "RTCSctpTransport", ("transport", "port")),
    (rtcpeerconnection, "RTCDtlsTransport", ("transport", "certificates")),
    (rtcsctptransport.RTCSctpTransport, "_receive_data_chunk", ("self", "chunk")),
    (rtcrtpreceiver.RTCRtpReceiver, "receive", ("self", "parameters")),
    (rtcrtpreceiver.RTCRtpReceiver, "_handle_rtp_packet", ("self", "packet", "arrival_time_ms")),
    (rtcrtpreceiver.RTCRtpReceiver, "_handle_rtcp_packet", ("self", "packet")),
    (rtcicetransport, "Connection", ("ice_controlling",)),
    (aioice.ice.Connection, "query_consent", ("self",)),
    (aioice.ice.Connection, "data_received", ("self", "data", "component")),
    (aioice.ice.Connection, "check_incoming", ("self", "message", "addr", "protocol")),
    (aioice.ice.Connection, "build_request", ("self", "pair", "nominate")),
    (RTCCertificate, "_create_ssl_context", ("self", "srtp_profiles")),
)


def patch_aiortc() -> None:
    """Set all of it for every connection of this process. Calling it again changes nothing.

    Raises VivifyError for an aiortc that does not have what is set here.
    """
    if rtcrtpsender.get_encoder is _encoder:
        return
    check_names()
    rtcrtpsender.get_encoder = _encoder
    vpx.DEFAULT_BITRATE = h264.DEFAULT_BITRATE = START_BITRATE
    vpx.MIN_BITRATE = h264.MIN_BITRATE = LEAST_BITRATE
    vpx.MAX_BITRATE = h264.MAX_BITRATE = MOST_BITRATE
    h264.MAX_FRAME_RATE = FRAMES_PER_SECOND
    RTCCertificate._create_ssl_context = _with_our_ciphers  # type: ignore[assignment,method-assign]
    rtcicetransport.Connection = RestartableConnection  # type: ignore[assignment,misc]
    rtcrtpreceiver.JitterBuffer = jitter_buffer  # type: ignore[assignment,misc]
    rtcpeerconnection.RTCRtpReceiver = VoiceReceiver  # type: ignore[misc]
    rtcpeerconnection.RTCRtpSender = PictureSender  # type: ignore[misc]
    rtcpeerconnection.RTCSctpTransport = BoundedSctp  # type: ignore[misc]
    rtcpeerconnection.RTCDtlsTransport = BoundedDtls  # type: ignore[misc]
    for codec in CODECS["audio"]:
        if codec.name == "opus":
            codec.parameters = OPUS_WISHES


def check_names() -> None:
    """Raises VivifyError when a name that will be set is not there, or is called in another way than we answer."""
    numbers = [(module, name) for module in (vpx, h264) for name in BITRATES] + [(h264, "MAX_FRAME_RATE")]
    numbers.append((aioice.ice, "CONSENT_INTERVAL"))
    for module, name in numbers:
        if not isinstance(getattr(module, name, None), int | float):
            raise VivifyError(_strange(module, name, "is no number"))
    for owner, names in COUNTS:
        if strange := [name for name in names if name not in owner.__init__.__code__.co_names]:
            raise VivifyError(_strange(owner, strange[0], "is not there"))
    for owner, name, wanted in CALLED:
        there = getattr(owner, name, None)
        if not callable(there):
            raise VivifyError(_strange(owner, name, "is not there"))
        if missing := [argument for argument in wanted if argument not in _arguments(there)]:
            raise VivifyError(_strange(owner, name, f"takes no {', '.join(missing)}"))


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def _strange(owner: Any, name: str, how: str) -> str:
    module = getattr(owner, "__module__", owner.__name__)
    package, tested = ("aioice", "0.13") if module.startswith("aioice") else ("aiortc", "1.16")
    return (
        f"{package} was expected to have {owner.__name__}.{name} as its version {tested} has it, but in "
        f"{version(package)} it {how}: install {package} {tested}, for example with -c constraints.txt."
    )


def _encoder(codec: RTCRtpCodecParameters) -> Encoder:
    ours = ENCODERS.get(codec.mimeType.lower())
    return ours() if ours else get_encoder(codec)


_ssl_context = RTCCertificate._create_ssl_context


def _with_our_ciphers(certificate: RTCCertificate, srtp_profiles: Any) -> SSL.Context:
    context = _ssl_context(certificate, srtp_profiles)
    context.set_cipher_list(":".join(CIPHERS).encode())
    return context
