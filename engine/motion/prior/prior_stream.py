"""The prior as a stream: a few tokens on their way out of the noise, the nearest almost clean, the farthest all noise.

Every token (80 ms) the network looks once at what was shown (given), at that window and at all the sound there is, and
every token of the window goes one rung down: the nearest is clean then and is shown, and a new one of noise comes in at
the far end (rolling diffusion, Ruhe et al. 2024). So a token is denoised in as many steps as the window is long, spread
over as many ticks; each step knows the newest sound; the past is given, so there is no seam; and no step costs more
than another. In the words of the supplement: chunks of one token, with mask editing.

What a row shows depends on its seed, its sound, the look-ahead, style, guidance and keys, and on the number of frames
shown before; never on other rows. Everything here is numpy; the network is a `Denoiser`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from engine.contracts import FloatArray
from engine.motion.chance import normal
from engine.motion.motion_networks import Mask, Whole
from engine.motion.prior.noise import ladder, shares, step_down
from engine.motion.prior.nonlip import NONLIP
from engine.motion.prior.pinning import Pins
from engine.motion.prior.window import HEARD, STYLE

VALUES = len(NONLIP)
FARTHEST = 3  # frames of look-ahead
BOUND = 5.0  # of what the network says, in usual sizes: what is fed back cannot run away
_APART, _RENEWED = 0xA2, 0x777  # between the seeds of this chance and of others, and of its own later noise


def chance_seed(seed: Any) -> Any:
    """The seed of this chance in a row of ``seed``: another than that of other parts of a face."""
    return seed ^ _APART


def renewed(seed: Whole, token: Whole, window: int, values: int) -> FloatArray:
    """The noise [n, W, values] that joins each rung of rows by their ``seed`` [n], as of `chance_seed`.

    ``token`` [n] is the one on the lowest rung, which needs none.
    """
    rung = np.arange(window)
    drawn = (token[:, None] + rung) * window + rung
    noise = normal(np.repeat(seed ^ _RENEWED, window - 1), drawn[:, 1:].reshape(-1), values)
    noise = noise.reshape(len(seed), window - 1, values)
    return np.concatenate([np.zeros_like(noise[:, :1]), noise], 1)


@dataclass(frozen=True, slots=True)
class Look:
    """What the network is shown of n rows; shapes as of `engine.a2v.prior_network.PriorNetwork.forward`."""

    values: FloatArray  # [n, T, f 24]
    given: FloatArray  # [n, T, f 24]
    level: FloatArray  # [n, T]
    sound: FloatArray  # [n, T, f 33]
    heard: FloatArray  # [n, T, f]
    present: FloatArray  # [n, T]
    style: FloatArray  # [n, 2]
    causal: FloatArray  # [n]
    guidance: FloatArray  # [n]


class Denoiser(Protocol):
    """The network, whoever runs it."""

    mean: FloatArray  # [24] what values are told around ...
    std: FloatArray  # [24] ... and in
    frames: int  # of a token
    past: int  # tokens that are given
    window: int  # tokens on their way out of the noise

    def __call__(self, look: Look) -> FloatArray:
        """Clean values [n, T, f 24], guided."""


class PriorStream:
    """``rows`` rows of values [24] a frame. ``causal`` streams the autoregressive prior, which draws nothing."""

    def __init__(self, denoiser: Denoiser, rows: int, causal: bool = False) -> None:
        self._net, self._causal = denoiser, causal
        self._f, self._p, self._w = denoiser.frames, denoiser.past, denoiser.window
        self._levels = ladder(self._w)
        self._rest = np.tile(-denoiser.mean / denoiser.std, self._f)  # [f 24] the portrait
        self._past = np.zeros((rows, self._p, self._f * VALUES), np.float32)
        self._present = np.zeros((rows, self._p), np.float32)
        self._window = np.zeros((rows, self._w, self._f * VALUES), np.float32)
        self._told = np.zeros_like(self._window)  # what the window was told to be a rung above
        reach = self._p * self._f + FARTHEST + 1  # frames of sound a look may want
        self._sound = np.zeros((rows, reach, HEARD), np.float32)
        self._heard = np.zeros((rows, reach), np.float32)
        self._shown = np.zeros((rows, self._f, VALUES), np.float32)  # the token that is being shown
        self._count = np.zeros(rows, np.int64)  # frames shown so far
        self._seed = np.zeros(rows, np.int64)
        self._pins = [self._no_pins() for _ in range(rows)]
        self.style = np.zeros((rows, STYLE), np.float32)
        self.guidance = np.ones(rows, np.float32)

    def begin(self, mask: Mask, seeds: Whole) -> None:
        """Start the rows of ``mask`` [B] anew at the portrait, each with its seed of ``seeds`` [B]."""
        self._seed[mask] = chance_seed(seeds[mask])
        self._past[mask], self._present[mask] = self._rest * self._causal, float(self._causal)
        self._sound[mask] = self._heard[mask] = self._shown[mask] = 0
        self._count[mask] = 0
        signal, noise = (share[:, None] for share in shares(self._levels[1:]))
        for w in range(self._w):
            chance = self._chance(np.full(len(mask), w))[mask]
            self._window[mask, w] = signal[w] * self._rest + noise[w] * chance
        for row in np.flatnonzero(mask):
            self._pins[row] = self._no_pins()

    def count(self, row: int) -> int:
        """Frames the row has shown."""
        return int(self._count[row])

    def pin(self, row: int, ahead: int, frames: int, values: dict[int, float]) -> bool:
        """Have the row show ``values`` by place for ``frames`` frames, from ``ahead`` frames after the next on.

        Returns whether there was room for it.
        """
        now = self.count(row)
        return self._pins[row].add(now, now + ahead, frames, values)

    def _no_pins(self) -> Pins:
        return Pins(self._net.mean, self._net.std)

    def step(self, sound: FloatArray, look_ahead: Whole, mask: Mask, shown: Mask) -> FloatArray:
        """One frame: the rows of ``mask`` [B] hear ``sound`` [B, 33], those of ``shown`` [B] move on.

        ``look_ahead`` [B] in frames. Returns values [B, 24]; of rows not shown they are to be ignored.
        """
        self._sound[mask] = np.roll(self._sound[mask], -1, 1)
        self._heard[mask] = np.roll(self._heard[mask], -1, 1)
        self._sound[mask, -1], self._heard[mask, -1] = sound[mask], 1
        due = np.flatnonzero(shown & (self._count % self._f == 0))
        if len(due):
            self._advance(due, look_ahead[due])
        out = self._shown[np.arange(len(shown)), self._count % self._f]
        self._count += shown
        return out * self._net.std + self._net.mean

    def _chance(self, token: Whole) -> FloatArray:
        """The noise [B, f 24] with which each row's ``token`` [B] begins."""
        return normal(self._seed, token, self._f * VALUES)

    def _advance(self, rows: Whole, ahead: Whole) -> None:
        """One look of the ``rows`` [n], and one token [n] more to show."""
        if self._causal:
            token = self._bounded(self._net(self._look_back(rows, ahead)))[:, self._p]
        else:
            clean = self._bounded(self._net(self._look(rows, ahead)))[:, self._p :]
            before = np.where((self._count[rows] == 0)[:, None, None], clean, self._told[rows])
            fresh = renewed(self._seed[rows], self._count[rows] // self._f, self._w, clean.shape[2])
            lower = step_down(self._window[rows], clean, before, fresh, self._levels)
            token, new = clean[:, 0], self._chance(self._count // self._f + self._w)[rows]
            self._window[rows] = np.concatenate([lower[:, 1:], new[:, None]], 1)
            self._told[rows] = np.concatenate([clean[:, 1:], clean[:, -1:]], 1)
        token = self._leaning(rows, token)
        self._past[rows] = np.concatenate([self._past[rows, 1:], token[:, None]], 1)
        self._present[rows] = np.concatenate([self._present[rows, 1:], np.ones((len(rows), 1), np.float32)], 1)
        self._shown[rows] = token.reshape(len(rows), self._f, VALUES)

    def _leaning(self, rows: Whole, token: FloatArray) -> FloatArray:
        """The ``token`` [n, f 24] to be shown, as keys want it."""
        for k, row in enumerate(rows):
            if pins := self._pins[row]:
                now = int(self._count[row])
                shown = token[k].reshape(self._f, VALUES) * self._net.std + self._net.mean
                shown = np.stack([pins.lean(values, now + i) for i, values in enumerate(shown)])
                token[k] = ((shown - self._net.mean) / self._net.std).reshape(-1)
                pins.forget(now)
        return token

    def _bounded(self, clean: FloatArray) -> FloatArray:
        return np.nan_to_num(np.clip(clean, -BOUND, BOUND), nan=0.0)

    def _hear(self, rows: Whole, first: Whole) -> tuple[FloatArray, FloatArray]:
        """Sound [n, T, f 33] from ``first`` [n] on, counted from the oldest kept frame, and whether it was heard."""
        tokens = self._p + self._w
        where = first[:, None] + np.arange(tokens * self._f)
        there = (where >= 0) & (where < self._sound.shape[1])
        where = where.clip(0, self._sound.shape[1] - 1)
        heard = self._heard[rows[:, None], where] * there
        sound = self._sound[rows[:, None], where] * heard[..., None]
        return sound.reshape(len(rows), tokens, -1), heard.reshape(len(rows), tokens, self._f).astype(np.float32)

    def _look(self, rows: Whole, ahead: Whole) -> Look:
        """The past, given, and the noisy window."""
        there = self._present[rows]
        known = np.repeat(there[..., None], self._f * VALUES, 2)
        level = np.concatenate([np.zeros(self._p), self._levels[1:]]).astype(np.float32)
        # The frame now shown is token `past` of a look, and `ahead` frames older than the newest sound.
        first = self._sound.shape[1] - 1 - ahead - self._p * self._f
        sound, heard = self._hear(rows, first)
        return Look(
            np.concatenate([self._past[rows] * there[..., None], self._window[rows]], 1).astype(np.float32),
            np.concatenate([known, np.zeros_like(self._window[rows])], 1),
            np.broadcast_to(level, (len(rows), len(level))),
            sound,
            heard,
            np.concatenate([there, np.ones((len(rows), self._w), np.float32)], 1),
            self.style[rows],
            np.zeros(len(rows), np.float32),
            self.guidance[rows],
        )

    def _look_back(self, rows: Whole, ahead: Whole) -> Look:
        """Each token told the one before it; what is wanted is said at the place after the past."""
        tokens = self._p + self._w
        values = np.zeros((len(rows), tokens, self._f * VALUES), np.float32)
        given, present = np.zeros_like(values), np.zeros((len(rows), tokens), np.float32)
        values[:, 1 : self._p + 1], given[:, 1 : self._p + 1], present[:, : self._p + 1] = self._past[rows], 1, 1
        first = self._sound.shape[1] - 1 - self._p * self._f - (self._f - 1)
        sound, heard = self._hear(rows, np.full(len(rows), first))
        level = np.zeros((len(rows), tokens), np.float32)
        ones = np.ones(len(rows), np.float32)
        return Look(values, given, level, sound, heard, present, self.style[rows], ones, ones)
