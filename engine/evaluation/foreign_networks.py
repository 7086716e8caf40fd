"""The published figures that foreign networks define: FID, CSIM, SyncNet's confidence and distance.

No weights come with Vivify. Each network is an ONNX file that the user gives, run by onnxruntime: ONNX holds no pickle,
and the face and Inception networks are published in it or exported to it in a line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.contracts import SAMPLE_RATE, ByteArray, FloatArray
from engine.errors import VivifyError

SYNC_SPAN = 15  # frames either way that SyncNet looks for the best match in
CLIP = 5  # pictures SyncNet looks at together, and 0.2 s of sound
MFCC_PER_PICTURE = 4  # of 10 ms each, at 25 pictures a second
FACE_SIDE, INCEPTION_SIDE, SYNC_SIDE = 112, 299, 224  # pixels


class FeatureNet:
    """A network from an ONNX file that takes one array [N, ...] and gives features [N, ...]."""

    def __init__(self, path: Path, what: str, input_shape: tuple[int, ...]) -> None:
        """``input_shape`` is one sample's, without the batch.

        Raises VivifyError when the file cannot be used, takes another shape, or onnxruntime is missing.
        """
        try:
            import onnxruntime
        except ImportError:
            raise VivifyError(f"{what} needs onnxruntime: pip install 'vivify[evaluate]'.") from None
        if not Path(path).is_file():
            raise VivifyError(f"{what} needs its network as an ONNX file, but there is none at {path}: name one.")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._net = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # onnxruntime's own exceptions share no base class
            reason = str(problem).splitlines()[0]
            raise VivifyError(
                f"{path} was expected to be {what}'s network in ONNX, but is not ({reason})."
            ) from problem
        takes = self._net.get_inputs()
        shape = tuple(d for d in takes[0].shape[1:])
        if (
            len(takes) != 1
            or len(shape) != len(input_shape)
            or any(isinstance(d, int) and d != want for d, want in zip(shape, input_shape, strict=True))
        ):
            raise VivifyError(f"{what}'s network must take [N, {_words(input_shape)}], but {path} takes {_all(takes)}.")
        self._input, self._shape = takes[0].name, input_shape

    def __call__(self, batch: FloatArray) -> FloatArray:
        """Features [N, F] of a batch [N, *input_shape]; run one by one where the network is fixed to that."""
        fixed = self._net.get_inputs()[0].shape[0] == 1
        pieces = np.split(batch, len(batch)) if fixed else [batch[k : k + 16] for k in range(0, len(batch), 16)]
        out = [self._net.run(None, {self._input: np.ascontiguousarray(p, np.float32)})[0] for p in pieces]
        return np.concatenate(out).reshape(len(batch), -1).astype(np.float32)


def _words(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _all(takes: list[Any]) -> str:
    return " and ".join(f"{one.name} {one.shape}" for one in takes)


def frechet_distance(a: FloatArray, b: FloatArray) -> float:
    """Fréchet distance of the Gaussians fitted to features a [N, F] and b [M, F] (FID on Inception features)."""
    from scipy.linalg import sqrtm

    if min(len(a), len(b)) < 2:
        raise VivifyError("FID compares two sets of at least 2 pictures, but one of them has fewer: give longer films.")
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(np.atleast_2d(first @ second))
    moved = float(((a.mean(0) - b.mean(0)) ** 2).sum())
    return moved + float(np.trace(np.atleast_2d(first + second)) - 2 * np.trace(np.real(root)))


def fid(inception: FeatureNet, made: ByteArray, truth: ByteArray) -> float:
    """Fréchet Inception distance of two sets of pictures [T, H, W, 3]; the network takes RGB within [-1, 1]."""
    scaled = [_resized(p, INCEPTION_SIDE) / 127.5 - 1 for p in (made, truth)]
    return frechet_distance(inception(scaled[0]), inception(scaled[1]))


def csim(arcface: FeatureNet, made: ByteArray, truth: ByteArray) -> float:
    """Mean cosine of face embeddings of aligned faces [T, 112, 112, 3] and [1 or T, ...]; the network is ArcFace's."""
    a, b = (arcface(_resized(p, FACE_SIDE) / 127.5 - 1) for p in (made, truth))
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in (a, b))
    return float((a * b).sum(1).mean())


def sync(sound_net: FeatureNet, lips_net: FeatureNet, samples: FloatArray, faces: ByteArray) -> dict[str, float]:
    """SyncNet (Chung, Zisserman 2016): ``distance`` (LSE-D), ``confidence`` (LSE-C) and ``offset`` in frames.

    ``samples`` [n] at 16 kHz, ``faces`` [T, H, W, 3] face crops at 25 a second. The sound's network takes MFCCs
    [N, 1, 13, 20], the lips' five pictures [N, 3, 5, 224, 224] in 0..255, BGR as it was trained. A positive offset says
    that the sound is late.
    """
    from python_speech_features import mfcc

    coefficients = mfcc(np.round(samples * 32767).astype(np.int16), SAMPLE_RATE).T.astype(np.float32)  # [13, M]
    clips = min(len(faces) - CLIP + 1, coefficients.shape[1] // MFCC_PER_PICTURE - CLIP + 1)
    if clips < 2:
        raise VivifyError("SyncNet needs at least 0.3 s of pictures and sound, but less came: give a longer film.")
    cut = [coefficients[:, MFCC_PER_PICTURE * k : MFCC_PER_PICTURE * (k + CLIP)] for k in range(clips)]
    heard = sound_net(np.stack(cut)[:, None])  # [N, F]
    small = _resized(faces[..., ::-1], SYNC_SIDE)  # [T, 3, 224, 224]
    seen = np.concatenate([lips_net(small[k : k + CLIP].transpose(1, 0, 2, 3)[None]) for k in range(clips)])
    return sync_figures(heard, seen)


def sync_figures(heard: FloatArray, seen: FloatArray) -> dict[str, float]:
    """SyncNet's figures from embeddings [N, F] of sound and lips, one a frame."""
    padded = np.pad(heard, ((SYNC_SPAN, SYNC_SPAN), (0, 0)))
    spans = np.lib.stride_tricks.sliding_window_view(padded, 2 * SYNC_SPAN + 1, axis=0)  # [N, F, 31]
    apart = np.sqrt(((spans - seen[:, :, None] + 1e-6) ** 2).sum(1)).mean(0)  # [31]
    best = int(apart.argmin())
    return {
        "distance": float(apart[best]),
        "confidence": float(np.median(apart) - apart[best]),
        "offset": float(best - SYNC_SPAN),
    }


def _resized(pictures: ByteArray, side: int) -> FloatArray:
    """RGB [T, H, W, 3] -> [T, 3, side, side] float32 in 0..255."""
    import torch
    import torch.nn.functional as F

    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float()
    if x.shape[-2:] != (side, side):
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return np.asarray(x.numpy(), np.float32)
