"""The lip-reading loss of ExpNet (SadTalker eq. 9): the mouth is drawn, differentiably, and read by a given network.

The paper reads letters off five frames of the rendered mouth and compares them with what an audio reader makes of the
sound. One network is asked for here, the one for pictures: what it reads off the lip-only coefficients is the target.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import VivifyError
from engine.export.onnx_in_torch import OnnxInTorch, graph_of
from engine.face.morphable_model import face_model
from engine.face.topology import LIP_INNER, LIP_VERTICES
from engine.training.sadtalker.coefficient_space import CoefficientSpace
from kernels import rasterize

SIDE = 88  # pixels, as lip readers take mouths
_ROOM = 1.7  # of the lips' width that the picture shows
_LIGHT = (0.2, -0.5, -0.85)  # from above and from the viewer


class MouthPictures:
    """Expressions [N, 52] -> grey pictures of the mouth [N, SIDE, SIDE] in [0, 1], with gradients."""

    def __init__(self) -> None:
        model = face_model()
        lips = model.neutral[list(LIP_VERTICES), :2]
        middle, reach = lips.mean(0), _ROOM * float(np.ptp(lips[:, 0]))
        near = (np.abs(model.neutral[:, :2] - middle) < 0.8 * reach).all(1)
        between = np.isin(model.triangles, LIP_INNER).all(1)  # the mesh closes the mouth's opening, which is dark
        shown = near[model.triangles].any(1) & ~between
        self._triangles = torch.from_numpy(model.triangles[shown].astype(np.int64))
        scale = SIDE / reach
        place = np.r_[SIDE / 2 - scale * middle, 0].astype(np.float32)
        self._rest = torch.from_numpy(scale * model.neutral + place).float()
        self._basis = torch.from_numpy(scale * model.expressions).float()
        self._light = F.normalize(torch.tensor(_LIGHT), dim=0)

    def __call__(self, expression: Tensor) -> Tensor:
        vertices = self._rest + torch.einsum("ne,evc->nvc", expression, self._basis)
        corners = vertices[:, self._triangles]  # [N, F, 3, 3]
        faces = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        normals = torch.zeros_like(vertices)
        for k in range(3):
            normals = normals.index_add(1, self._triangles[:, k], faces)
        shade = (F.normalize(normals, dim=2) @ self._light).abs()
        seen = rasterize(vertices, self._triangles, (0.15 + 0.8 * shade)[..., None], SIDE, SIDE)
        return seen.attributes[..., 0]


class MouthReader:
    """Eq. 9 in our coefficients; the network takes mouths [N, 1, T, 88, 88] and gives logits [N, ..., letters]."""

    def __init__(self, path: Path, space: CoefficientSpace) -> None:
        """Raises VivifyError where the network cannot be used, or there is no face to draw."""
        if space.name != "arkit":
            raise VivifyError("The lip-reading loss draws our own face: it needs --space arkit.")
        what = "the lip-reading network"
        self._draw, self._net = MouthPictures(), OnnxInTorch(graph_of(path, what), what)

    def read(self, expression: Tensor) -> Tensor:
        """Logits of expressions [B, T, 52]."""
        pictures = self._draw(expression.flatten(0, 1)).unflatten(0, expression.shape[:2])
        try:
            (said,) = self._net(pictures[:, None])
            return said
        except RuntimeError as problem:
            shape = ", ".join(map(str, (len(pictures), 1, *pictures.shape[1:])))
            raise VivifyError(
                f"The lip-reading network was expected to take mouths [{shape}], but cannot "
                f"({str(problem).splitlines()[0]}): export it for that."
            ) from problem

    def __call__(self, said: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.read(target).softmax(-1)
        return -(wanted * self.read(said).log_softmax(-1)).sum(-1).mean()
