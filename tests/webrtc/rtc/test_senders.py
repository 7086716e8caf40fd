"""What is sent: a voice in one channel, as loud as it was; pictures at the rate that a receiver asks for."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.codecs import CODECS
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTP_HISTORY_SIZE,
    HeaderExtensionsMap,
    RtcpPsfbPacket,
    RtpPacket,
    pack_remb_fci,
    wrap_rtx,
)
from av import AudioFrame, VideoFrame

from webrtc.rtc.aiortc_patches import LEAST_BITRATE, MOST_BITRATE, patch_aiortc
from webrtc.rtc.ice_servers import no_servers
from webrtc.rtc.sending import picture_encoders
from webrtc.rtc.sending.outgoing import Outgoing
from webrtc.rtc.sending.picture_encoders import CALM, ENOUGH, HURRIED, PictureEncoder
from webrtc.rtc.sending.picture_sender import PictureSender
from webrtc.rtc.sending.sound_encoder import SILENT_DBOV, VoiceEncoder, level_dbov
from webrtc.rtc.tracks import sound_frame

pytestmark = pytest.mark.cpu
RATE, PIECE = 48_000, 960


def hum(seconds: float, hertz: float) -> np.ndarray:
    return np.round(8000 * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)).astype(np.int16)


def heard(frames: list[AudioFrame]) -> tuple[np.ndarray, list[int]]:
    """What aiortc's own receiver makes of what we encode, [n, 2], and the packets' time stamps."""
    encoder, decoder, sound, stamps = VoiceEncoder(), OpusDecoder(), [], []
    for frame in frames:
        payloads, stamp = encoder.encode(frame)
        for payload in payloads:
            stamps.append(stamp)
            sound += [piece.to_ndarray().reshape(-1, 2) for piece in decoder.decode(JitterFrame(payload, stamp))]
    return np.concatenate(sound).astype(float), stamps


def test_a_voice_in_one_channel_comes_out_of_both_as_loud_as_it_was() -> None:
    voice = hum(1, 300)
    sound, stamps = heard([sound_frame(voice[at : at + PIECE], at) for at in range(0, len(voice), PIECE)])
    assert stamps == list(range(0, len(voice), PIECE))
    assert np.array_equal(sound[:, 0], sound[:, 1])
    assert sound[RATE // 2 :].std() == pytest.approx(voice.std(), rel=0.1)


def test_two_channels_of_somebody_elses_stay_two() -> None:
    left, frames = hum(1, 300), []
    for at in range(0, len(left), PIECE):
        both = np.stack([left[at : at + PIECE], np.zeros(PIECE, np.int16)], 1)
        frame = AudioFrame.from_ndarray(both.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        frames.append(frame)
    sound, _ = heard(frames)
    assert sound[RATE // 2 :, 1].std() < 0.2 * sound[RATE // 2 :, 0].std()


def test_loudness_is_told_as_rfc_6465_does() -> None:
    loud = np.round(32767 * np.sin(np.arange(PIECE) * 2 * np.pi / 96)).astype(np.int16)
    assert level_dbov(sound_frame(loud, 0)) == -3
    assert level_dbov(sound_frame(loud // 10, 0)) == -23
    assert level_dbov(sound_frame(np.zeros(PIECE, np.int16), 0)) == SILENT_DBOV


class Noise(MediaStreamTrack):
    """Pictures that are hard to encode."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._rng, self._sent = np.random.default_rng(0), 0

    async def recv(self) -> VideoFrame:
        frame = VideoFrame.from_ndarray(self._rng.integers(110, 146, (384, 256), np.uint8), format="yuv420p")
        frame.pts, frame.time_base = 3600 * self._sent, Fraction(1, 90_000)
        self._sent += 1
        return frame


def test_a_receiver_that_can_take_less_gets_less() -> None:
    async def sizes() -> list[int]:
        patch_aiortc()
        pc = RTCPeerConnection(no_servers())
        sender = pc.addTransceiver(Noise(), direction="sendonly").sender
        assert isinstance(sender, PictureSender)
        vp8 = next(codec for codec in CODECS["video"] if codec.name == "VP8")

        async def second() -> int:
            frames = [await sender.encoded(vp8) for _ in range(25)]
            return sum(len(payload) for frame in frames if frame for payload in frame.payloads)

        async def asks(bitrate: int) -> None:
            fci = pack_remb_fci(bitrate, [sender._ssrc])
            await sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))

        await second()
        out = []
        for bitrate in (2_400_000, LEAST_BITRATE):
            await asks(bitrate)
            out.append(await second())
        await sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=b"REMB"))
        await pc.close()
        return out

    more, less = asyncio.run(sizes())
    assert less < 0.7 * more


def parameters(*codecs: RTCRtpCodecParameters) -> RTCRtpSendParameters:
    extensions = [RTCRtpHeaderExtensionParameters(id=k + 1, uri=uri) for k, uri in enumerate((MID, SENT_AT, LEVEL))]
    return RTCRtpSendParameters(codecs=list(codecs), headerExtensions=extensions, muxId="7")


VP8 = RTCRtpCodecParameters("video/VP8", 90_000, payloadType=96)
AGAIN = RTCRtpCodecParameters("video/rtx", 90_000, payloadType=97, parameters={"apt": 96})
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
SENT_AT = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"


def test_packets_are_what_aiortc_would_make_of_them() -> None:
    told = parameters(VP8, AGAIN)
    known = HeaderExtensionsMap()
    known.configure(told)
    outgoing = Outgoing(0xABCD, 0xDCBA, told)
    one = outgoing.pack([b"a" * 1300, b"b"], 5, None)
    packets = [RtpPacket.parse(data, known) for data in one + outgoing.pack([b"c"], 3605, -23)]
    first = packets[0].sequence_number
    assert [p.sequence_number - first for p in packets] == [0, 1, 2]
    assert [p.marker for p in packets] == [0, 1, 1]
    assert packets[0].timestamp == packets[1].timestamp == packets[2].timestamp - 3600
    assert {(p.ssrc, p.payload_type, p.extensions.mid) for p in packets} == {(0xABCD, 96, "7")}
    assert [p.extensions.audio_level for p in packets] == [None, None, (False, 23)]
    assert abs(packets[0].extensions.abs_send_time / (1 << 18) - time.time() % 64) % 64 < 5  # type: ignore[operator]
    assert [p.payload for p in packets] == [b"a" * 1300, b"b", b"c"]
    assert [p.serialize(known) for p in packets[:2]] == one
    assert (outgoing.packets, outgoing.octets) == (3, 1302)
    again = outgoing.again(first)
    assert again is not None
    repeated = RtpPacket.parse(again, known)
    wanted = wrap_rtx(packets[0], 97, repeated.sequence_number, 0xDCBA)
    assert again == wanted.serialize(known)
    outgoing.pack([b"d"] * RTP_HISTORY_SIZE, 7205, None)
    assert outgoing.again(first) is None


def test_without_a_form_for_repeated_packets_they_are_sent_as_they_were() -> None:
    outgoing = Outgoing(1, 2, RTCRtpSendParameters(codecs=[VP8]))
    (packet,) = outgoing.pack([b"a"], 0, None)
    assert packet[0] == 0x80  # no extensions were agreed on
    assert outgoing.again(RtpPacket.parse(packet).sequence_number) == packet


def test_more_pictures_than_cores_are_encoded_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    patch_aiortc()
    encoder, codecs = PictureEncoder(), []
    for k, (cores, speed, most) in enumerate(
        [(64, CALM, MOST_BITRATE), (0, HURRIED, ENOUGH), (64, CALM, MOST_BITRATE)]
    ):
        monkeypatch.setattr(picture_encoders, "usable_cores", lambda cores=cores: cores)
        frame = VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
        frame.pts, frame.time_base = 3600 * k, Fraction(1, 90_000)
        assert encoder.encode(frame)[0]
        assert encoder.speed == speed
        encoder.target_bitrate = MOST_BITRATE
        assert encoder.target_bitrate == most
        codecs.append(encoder.codec)
    assert codecs[0] is not codecs[1] is not codecs[2]
