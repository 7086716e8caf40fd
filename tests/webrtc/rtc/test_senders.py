"""What is sent: a voice in one channel, as loud as it was; pictures at the rate that a receiver asks for."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.codecs import CODECS
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci
from av import AudioFrame, VideoFrame

from webrtc.rtc.aiortc_patches import LEAST_BITRATE, patch_aiortc
from webrtc.rtc.ice_servers import no_servers
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
            frames = [await sender._next_encoded_frame(vp8) for _ in range(25)]
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
