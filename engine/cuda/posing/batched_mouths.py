"""Inside the mouths of a batch: what `engine.render.parts.mouth` and `engine.render.parts.tongue` do for one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.cuda.posing.coefficients import Read, smoothstep
from engine.cuda.posing.layout import MOUTH
from engine.cuda.posing.portrait_table import Known
from engine.face.surround import smoothstep as _smooth
from engine.face.teeth import COLUMNS
from engine.render.parts import tongue as one
from engine.render.parts.mouth import (
    BARELY,
    COMES_OUT,
    FADES,
    FAR_RIM,
    HIDDEN,
    LOWER_ROW,
    NARROW_LIGHT,
    PEEPS,
    RING,
    ROWS,
    SHADES,
    THROAT,
    TIGHT,
    UPPER_ROW,
    WALL_DEPTH,
    WALLS,
    WELL_OPEN,
)

UPPER_EDGE, LOWER_EDGE = (ROWS - 1) * COLUMNS + COLUMNS // 2, COLUMNS // 2  # the middles of the arches' ends
MIDDLE = len(UPPER_ROW) // 2


class Inside(NamedTuple):
    """The insides of R mouths."""

    points: Tensor  # [R, 821, 3] before the head turns
    light: Tensor  # [R, 821] how bright each is
    out: Tensor  # [R] bool: whether the tongue comes out


class Mouths:
    """Places teeth, tongues and cavities behind driven lips, and says how bright they are."""

    def __init__(self, device: torch.device) -> None:
        def on(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.asarray(array, np.float32)).to(device)

        self._tongues = Tongues(device)
        self._rims = torch.from_numpy(np.r_[UPPER_ROW, LOWER_ROW]).to(device)
        self._falls, self._deep, self._corner = (on(np.repeat(each, MOUTH)) for each in zip(*SHADES, strict=True))
        self._part = torch.from_numpy(np.repeat(np.arange(len(MOUTH)), MOUTH)).to(device)
        count = len(RING)
        angle = np.pi * (1 + np.arange(count) / 10)
        far = np.zeros((MOUTH[3], 2))
        far[:count] = np.stack([np.cos(angle) * FAR_RIM[0], np.sin(angle) * FAR_RIM[1]], 1)
        self._far = on(far)  # the outermost ring does not follow the opening's
        self._sizes = on(np.r_[np.repeat([size for size, _ in WALLS], count), 0])[:, None]
        self._wall_light = on(np.r_[np.repeat([bright for _, bright in WALLS], count), THROAT])
        self._rings = torch.arange(MOUTH[3], device=device) % count

    def __call__(self, known: Known, read: Read, face: Tensor) -> Inside:
        """The insides of driven faces [R, 468, 3]."""
        rims = face[:, self._rims]
        upper, lower = ((rims - known.anchor) @ known.home).view(-1, 2, len(UPPER_ROW), 3).unbind(1)
        opening = (lower - upper)[:, 2:-2].norm(dim=-1).amax(1, keepdim=True)  # [R, 1]
        above, below = self._teeth(known, read, rims[:, MIDDLE, 1:2], rims[:, len(UPPER_ROW) + MIDDLE, 1:2])
        tongue, out = self._tongues(known, read, lower, opening)
        points = torch.cat([above, below, tongue, self._walls(upper, lower)], 1)  # [R, 821, 3]
        tongue_light = self._tongues.light(tongue)
        narrow = 1 - smoothstep((opening - FADES[0]) / (FADES[1] - FADES[0]))
        walls = self._wall_light * (1 + NARROW_LIGHT * narrow)
        light = torch.cat([known.teeth_light.flatten(1), tongue_light, walls], 1) * self._shadow(points, upper)
        at = slice(MOUTH[0] + MOUTH[1], sum(MOUTH[:3]))  # what leaves the mouth leaves its shade
        light[:, at] += out * (0.35 + 0.75 * tongue_light - light[:, at])
        barely = BARELY + (1 - BARELY) * smoothstep(opening / WELL_OPEN)
        veil = known.veil[:, self._part]
        light = veil + (1 - veil) * barely * light
        return Inside(_to_pixels(known, points), light, out.amax(1) > COMES_OUT)

    @staticmethod
    def _teeth(known: Known, read: Read, upper_lip: Tensor, lower_lip: Tensor) -> tuple[Tensor, Tensor]:
        """Both arches [R, 305, 3] behind lips whose middles are at these heights [R, 1]: rounded ones hide them."""
        above, below = known.teeth[:, 0], known.teeth[:, 1] + read.jaw[:, None]
        height = known.axes[:, 1, 1:2]
        seen = (_to_pixels(known, above[:, UPPER_EDGE : UPPER_EDGE + 1])[:, 0, 1:2] - upper_lip) / height
        tight = smoothstep((read.rounded - TIGHT[0]) / (TIGHT[1] - TIGHT[0]))
        covered = tight * (seen - PEEPS).clamp(min=0)
        ends = _to_pixels(known, below[:, LOWER_EDGE : LOWER_EDGE + 1])[:, 0, 1:2]
        lack = ((lower_lip - ends) / height + HIDDEN).clamp(min=0) * (2 * read.rounded).clamp(max=1)
        return _lowered(above, -covered), _lowered(below, lack)

    def _walls(self, upper: Tensor, lower: Tensor) -> Tensor:
        """The cavity [R, 81, 3] behind an opening between two rims [R, 11, 3]."""
        ring = torch.cat([upper, lower[:, 1:-1].flip(1)], 1)[..., :2]  # [R, 20, 2]
        middle = 0.5 * (ring.amin(1, keepdim=True) + ring.amax(1, keepdim=True))
        flat = middle + self._far + self._sizes * (ring - middle)[:, self._rings]
        return torch.cat([flat, torch.full_like(flat[..., :1], WALL_DEPTH)], -1)

    def _shadow(self, points: Tensor, upper: Tensor) -> Tensor:
        """The shade of upper lip and mouth's corners over ``points`` [R, 821, 3]: factors [R, 821]."""
        x, left, right = points[..., 0], upper[:, :1, 0], upper[:, -1:, 0]
        # The lip's height over each point: its first column's, and what every piece of the line adds up to there.
        line = upper[..., 0].cummax(1).values  # lips drawn hard aside may fold
        run = (line[:, 1:] - line[:, :-1]).clamp(min=1e-6)[:, None]  # [R, 1, 10]
        steep = (upper[:, 1:, 1] - upper[:, :-1, 1])[:, None] / run
        along = torch.minimum((x[..., None] - line[:, None, :-1]).clamp(min=0), run)
        under = points[..., 1] - upper[:, :1, 1] - (along * steep).sum(-1)
        lip = 1 - self._deep * (1 - smoothstep(under / self._falls))
        inward = torch.minimum(x - left, right - x)
        return lip * (1 - self._corner * (1 - smoothstep(inward / 0.8)))


class Tongues:
    """`engine.render.parts.tongue` for R mouths."""

    def __init__(self, device: torch.device) -> None:
        def on(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.asarray(array, np.float32)).to(device)

        t = np.repeat(one.ALONG[:, 0], one.COLUMNS)  # from tip to back
        u = np.tile(one.ACROSS[0], one.ROWS)  # from side to side
        reach = 1 - np.clip(t / 0.75, 0, 1)
        before = _smooth(reach / 0.3)
        self._follow, self._out, self._fades = on(one.FOLLOW), on(one.LEAVES), on(one.FADES)
        self._beside = on(one.WIDE * np.sqrt(1 - (1 - np.clip(0.08 + t / 0.4, 0, 1)) ** 2) * u)
        self._down, self._push = on(0.25 * u**2 * (1 - reach) - 0.35), on(1.6 * reach**1.5)
        self._ahead, self._share = on(one.OUT * (1 - before) - one.BEFORE * before), on(_smooth(reach / 0.5))
        grid = np.eye(len(t)).reshape(one.ROWS, one.COLUMNS, -1)
        steps = [np.asarray(np.gradient(grid, axis=axis)).reshape(len(t), -1) for axis in (0, 1)]
        self._steps = on(np.concatenate(steps))  # [260, 130]: along, and across
        self._sun = on(one.LIGHT)

    def __call__(self, known: Known, read: Read, lower: Tensor, opening: Tensor) -> tuple[Tensor, Tensor]:
        """Places [R, 130, 3] on lower lips' rims [R, 11, 3], and how far each vertex is out of the mouth [R, 130]."""
        points = known.tongue + self._follow * read.jaw[:, None]
        wanted = read.tongue * smoothstep(opening / one.NEEDS)
        narrow = (0.30 / one.WIDE * (lower[:, -1, 0:1] - lower[:, 0, 0:1])).clamp(max=1)
        rim = lower[:, MIDDLE]
        goal = [narrow * self._beside, rim[:, 1:2] + self._down + wanted * self._push, rim[:, 2:3] + self._ahead]
        share = smoothstep(wanted / 0.4) * self._share
        points = points + share[..., None] * (torch.stack(goal, -1) - points)
        return points, smoothstep(wanted / 0.3) * self._out

    def light(self, points: Tensor) -> Tensor:
        """How bright tongues [R, 130, 3] are [R, 130]: what faces the light is, and less towards back and sides."""
        along, across = (self._steps @ points).chunk(2, 1)
        normal = torch.linalg.cross(across, along)
        normal = normal / normal.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        return (one.AMBIENT + one.SUN * (normal @ self._sun).clamp(0, 1)) * self._fades


def _to_pixels(known: Known, points: Tensor) -> Tensor:
    """Centimetres within the mouth [R, n, 3] as portrait pixels, before the head turns."""
    return known.anchor + points @ known.axes


def _lowered(points: Tensor, down: Tensor) -> Tensor:
    """``points`` [R, n, 3] moved by [R, 1] downwards."""
    return torch.stack([points[..., 0], points[..., 1] + down, points[..., 2]], -1)
