"""All networks that a file of weights holds, by name and size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import nn

from engine.errors import VivifyError
from engine.sadtalker.face3d.coefficient_network import CoefficientNetwork
from engine.sadtalker.facerender.canonical_keypoints import KeypointFinder
from engine.sadtalker.facerender.face_generator import FaceGenerator
from engine.sadtalker.facerender.mapping_net import CROP, FULL, MappingNet
from engine.sadtalker.facerender.render_shape import RenderShape
from engine.sadtalker.voice.exp_net import EXPRESSION, ExpNet
from engine.sadtalker.voice.pose_discriminator import PoseDiscriminator
from engine.sadtalker.voice.pose_vae import PoseShape, PoseVAE


@dataclass(frozen=True)
class Sizes:
    """How large the networks are; the defaults are the released ones, and no file may hold larger."""

    render: RenderShape = field(default_factory=RenderShape)
    pose: PoseShape = field(default_factory=PoseShape)
    width: int = 32  # of ExpNet's audio encoder
    face: int = 64  # of the ResNet
    judge: int = 256  # of the pose discriminator


MAKERS: dict[str, Callable[[Sizes], nn.Module]] = {
    "expression": lambda s: ExpNet(EXPRESSION, s.width),
    "pose": lambda s: PoseVAE(s.pose),
    "pose_discriminator": lambda s: PoseDiscriminator(s.pose.pose, s.judge),
    "coefficients": lambda s: CoefficientNetwork(s.face),
    "keypoints": lambda s: KeypointFinder(s.render),
    "generator": lambda s: FaceGenerator(s.render),
    "mapping_crop": lambda s: MappingNet(CROP, s.render),
    "mapping_full": lambda s: MappingNet(FULL, s.render),
}
MODES = ("crop", "full")  # of pictures: the face alone, or put back into its photo


def expected(sizes: Sizes) -> dict[str, dict[str, tuple[int, ...]]]:
    """Names and shapes of every tensor, network by network."""
    with torch.device("meta"):
        networks = {name: make(sizes) for name, make in MAKERS.items()}
    return {
        name: {key: tuple(value.shape) for key, value in network.state_dict().items()}
        for name, network in networks.items()
    }


def sizes_as_json(sizes: Sizes) -> dict[str, Any]:
    return asdict(sizes)


def sizes_from_json(given: object) -> Sizes:
    """The reverse. Raises VivifyError for anything but whole numbers from 1 to the released sizes."""
    most = asdict(Sizes())
    if not isinstance(given, dict) or set(given) != set(most):
        raise VivifyError(_odd("they are not all there"))
    _check_sizes(given, most)
    inner = {"render": RenderShape, "pose": PoseShape}
    made: dict[str, Any] = {f.name: inner.get(f.name, lambda **_: None) for f in fields(Sizes)}
    for name in made:
        made[name] = inner[name](**_tuples(given[name])) if name in inner else given[name]
    return Sizes(**made)


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, (list, tuple)) else value for name, value in given.items()}


def _check_sizes(given: dict[str, Any], most: dict[str, Any]) -> None:
    for name, limit in most.items():
        value = given.get(name)
        if isinstance(limit, dict):
            if not isinstance(value, dict) or set(value) != set(limit):
                raise VivifyError(_odd(f"those of '{name}' are not all there"))
            _check_sizes(value, limit)
        elif isinstance(limit, bool):
            if not isinstance(value, bool):
                raise VivifyError(_odd(f"'{name}' is {value!r}"))
        elif isinstance(limit, (tuple, list)):
            if not isinstance(value, (tuple, list)) or len(value) != len(limit):
                raise VivifyError(_odd(f"'{name}' is {value!r}"))
            _check_sizes(dict(zip("abcd", value, strict=False)), dict(zip("abcd", limit, strict=False)))
        elif type(value) is not int or not 1 <= value <= limit:
            raise VivifyError(_odd(f"'{name}' is {value!r}, from 1 to {limit} was expected"))


def _odd(what: str) -> str:
    return f"The file's networks have odd sizes, {what}: import the official weights again."
