"""More people out of few: training pairs mirrored, in other light, nearer and farther, tilted, sharper and softer.

Whatever is changed is changed alike in all that the networks see and in the truth, so that a pair stays a pair.
"""

from __future__ import annotations

from dataclasses import fields, replace
from math import radians

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.render.learned.picture_generator import Seen
from engine.training.picture.picture_pairs import PAINTED

OPPOSITE = (5, 4, 3, 2, 1, 0, 9, 8, 7, 6, 15, 14, 13, 12, 11, 10, 19, 18, 17, 16)  # each lip landmark's mirror image
NEARER, FARTHER = 1.35, 0.8  # how much larger and smaller faces become
WIDER = 1.12  # how much wider, or narrower, than high
TILT = 12.0  # degrees
ASIDE = 0.08  # of the picture's side


def seen_differently(seen: Seen, truth: Tensor, mouth: Tensor, rng: np.random.Generator) -> tuple[Seen, Tensor, Tensor]:
    """All of the below at once, drawn anew for every row."""
    seen, truth, mouth = mirrored(seen, truth, mouth, rng.random(len(truth)) < 0.5)
    seen, truth = in_other_light(seen, truth, rng)
    seen, truth = in_other_focus(seen, truth, rng)
    seen = elsewhere(seen, rng)
    return reframed(seen, truth, mouth, rng)


def in_other_light(seen: Seen, truth: Tensor, rng: np.random.Generator) -> tuple[Seen, Tensor]:
    """The same pairs with every row's colours paler or stronger, warmer or colder, brighter or darker: other skins,
    other lamps, other painters."""

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (len(truth), channels, 1, 1)).astype(np.float32))

    colour, gain, gamma = draw(0.5, 1.3), draw(0.7, 1.25, 3), draw(0.7, 1.4)

    def lit(picture: Tensor) -> Tensor:
        grey = picture.mean(1, keepdim=True)
        return ((grey + colour * (picture - grey)) * gain).clamp(0, 1) ** gamma

    portrait = lit(seen.portrait)
    return _repainted(seen, portrait, lit(seen.painted), portrait), lit(truth)


def _repainted(seen: Seen, around: Tensor, painted: Tensor, portrait: Tensor) -> Seen:
    """``seen`` with other pictures, of which ``around`` surrounds the face in the projected textures."""
    reference, driven = (
        torch.where((texture == seen.portrait).all(1, keepdim=True), around, texture)
        for texture in (seen.texture_reference, seen.texture)
    )
    return replace(seen, portrait=portrait, painted=painted, texture_reference=reference, texture=driven)


def mirrored(seen: Seen, truth: Tensor, mouth: Tensor, which: np.ndarray) -> tuple[Seen, Tensor, Tensor]:
    """The same pairs, with left and right exchanged in the rows where ``which`` [B] holds: as many faces again.

    The face's code in the projected textures and the order of the landmarks are exchanged as well.
    """
    rows = torch.from_numpy(np.flatnonzero(which))
    inside = (seen.texture_reference != seen.portrait).any(1), (seen.texture != seen.portrait).any(1)
    changed = {f.name: getattr(seen, f.name).clone() for f in fields(Seen)} | {"truth": truth.clone()}
    changed["mouth"] = mouth.clone()
    for name, mask in zip(("texture_reference", "texture"), inside, strict=True):
        across = changed[name][:, 0]
        changed[name][:, 0] = torch.where(mask, 1 - across, across)
    for name in ("lips_reference", "lips"):
        changed[name] = changed[name][:, list(OPPOSITE)] * torch.tensor([-1.0, 1.0])
    changed["flow"] = changed["flow"] * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1)
    for name, value in changed.items():
        old = truth if name == "truth" else mouth if name == "mouth" else getattr(seen, name)
        turned = value.flip(-1) if value.dim() == 4 else value
        changed[name] = old.clone()
        changed[name][rows] = turned[rows]
    truth, mouth = changed.pop("truth"), changed.pop("mouth")
    return Seen(**changed), truth, mouth


def elsewhere(seen: Seen, rng: np.random.Generator) -> Seen:
    """The same faces in the projected textures, each with another row's surroundings.

    Hair and background tell who somebody is, and with few people a network would learn what each of them does by heart.
    """
    others = seen.portrait[torch.from_numpy(rng.permutation(len(seen.portrait)))]
    return _repainted(seen, others, seen.painted, seen.portrait)


def reframed(seen: Seen, truth: Tensor, mouth: Tensor, rng: np.random.Generator) -> tuple[Seen, Tensor, Tensor]:
    """The same pairs with every row's camera nearer or farther, tilted and turned aside: portrait and frame alike."""
    rows = len(truth)

    def draw(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, rows).astype(np.float32))

    scale, angle = torch.exp(draw(np.log(FARTHER), np.log(NEARER))), draw(-radians(TILT), radians(TILT))
    turn = torch.stack([torch.cos(angle), -torch.sin(angle), torch.sin(angle), torch.cos(angle)], 1).view(-1, 2, 2)
    wide = torch.exp(draw(-np.log(WIDER), np.log(WIDER)))
    inwards = turn / torch.stack([scale * wide, scale / wide], 1)[:, None]  # from the new picture to the old one
    outwards = torch.linalg.inv(inwards)
    middle = seen.lips_reference.mean(1)  # the mouth stays where it is, but for a step aside
    to = middle + torch.stack([draw(-2 * ASIDE, 2 * ASIDE), draw(-2 * ASIDE, 2 * ASIDE)], 1)
    shift = middle - (inwards @ to[..., None])[..., 0]
    theta = torch.cat([inwards, shift[..., None]], 2)

    def seen_anew(maps: Tensor) -> Tensor:
        grid = F.affine_grid(theta, [rows, 1, *maps.shape[2:]], align_corners=False)
        return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def moved(points: Tensor) -> Tensor:  # [B, N, 2]
        return (points - shift[:, None]) @ outwards.transpose(1, 2)

    flow = seen_anew(seen.flow)
    pictures = {name: seen_anew(getattr(seen, name)) for name in PAINTED}
    lips = {name: moved(getattr(seen, name)) for name in ("lips_reference", "lips")}
    flow = moved(flow.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(flow)
    return replace(seen, flow=flow, **pictures, **lips), seen_anew(truth), seen_anew(mouth)


def in_other_focus(seen: Seen, truth: Tensor, rng: np.random.Generator) -> tuple[Seen, Tensor]:
    """The same pairs softer or sharper, row by row: other lenses, cameras and codecs."""
    amount = torch.from_numpy(rng.uniform(-0.9, 0.9, (len(truth), 1, 1, 1)).astype(np.float32))
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    window = torch.outer(kernel, kernel).expand(3, 1, 5, 5)

    def focused(picture: Tensor) -> Tensor:
        soft = F.conv2d(F.pad(picture, (2, 2, 2, 2), mode="replicate"), window, groups=3)
        return torch.lerp(picture, soft, amount).clamp(0, 1)

    portrait = focused(seen.portrait)
    return _repainted(seen, portrait, focused(seen.painted), portrait), focused(truth)
