"""Which programs there are, and their files: programs and the index that tells what they were made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import onnx
import torch

from engine.a2v.prior_network import PriorNetwork
from engine.cuda.network_export import example
from engine.export.motion_steps import ExplicitStep, FaceStep, FeaturesStep, HeadStep, MelStep, forgotten
from engine.export.onnx_program import exported, tensors
from engine.export.picture_steps import AddStep, LookStep, MoveStep
from engine.export.prior_step import PriorStep
from engine.export.sadtalker_steps import ExpNetStep, SoundStep, StretchStep, load_expnet, load_posevae
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.head.head_pose import HeadPose
from engine.motion.head.pose_codebook import FRAMES_PER_CODE
from engine.programs.program import INDEX, Weights
from engine.render.learned.mouth_patch import corner_of, cut, warp
from engine.render.learned.picture_generator import follow
from engine.render.learned.picture_weights import load_learned

ROWS = 3  # of the examples that are traced; any number but 1 and 0, which a tracer would take for constants

Written = tuple[str, onnx.ModelProto, Weights, dict[str, Any]]  # name, program, what it fits, notes


def motion_programs(weights: Path) -> Iterator[Written]:
    """The programs of one step of sound and motion, for the weights in a folder."""
    fits = Weights(weights / "facial.safetensors")
    facial = FacialMotion.load(fits.path)
    dropped = forgotten(facial)
    steps: dict[str, Callable[[FacialMotion, set[str]], ExplicitStep]]
    steps = {"mel": MelStep, "features": FeaturesStep, "face": FaceStep}
    with torch.no_grad(), facial.streaming(ROWS):
        for name, made in steps.items():
            step = made(facial, dropped)
            yield name, exported(step, step.example(ROWS), step.names(), fits), fits, {"forgets": step.forgets}
    fits = Weights(weights / "pose.safetensors")
    for name, thinks in (("head", False), ("head_thinking", True)):
        head = HeadPose.load(fits.path)
        with torch.no_grad(), head.streaming(ROWS):
            turn = HeadStep(head, thinks)
            yield name, exported(turn, turn.example(ROWS), turn.names(), fits), fits, {"every": FRAMES_PER_CODE}


def picture_programs(weights: Path) -> Iterator[Written]:
    """The programs of the learned half of the picture, one picture at a time, for the weights in a folder."""
    fits = Weights(weights / "picture.safetensors")
    model, given = load_learned(fits.path), example(1, torch.device("cpu"))
    portrait = {"portrait": given.painted, "texture_reference": given.texture_reference}
    portrait |= {"lips_reference": given.lips_reference}
    with torch.no_grad():
        seen = {name: getattr(given, name) for name in ("texture", "lips_reference", "lips", "gate")}
        seen = {"met": model.motion.face.meet(given.texture_reference), **seen}
        residual, occlusion = MoveStep(model)(**seen)
        corner = corner_of(given.lips)
        cut_out = {
            "warped": warp(given.painted, residual, corner),
            "square": cut(given.texture, corner),
            "occlusion": occlusion,
            "followed": follow(given.features, given.flow, residual, corner),
            "light": given.light,
            "gate": given.gate,
        }
        for name, step, takes in (
            ("look", LookStep(model), portrait),
            ("picture_motion", MoveStep(model), seen),
            ("picture_paint", AddStep(model), cut_out),
        ):
            yield name, exported(step, takes, list(step.outputs), fits, any_rows=False), fits, {}


def prior_program(weights: Path) -> Iterator[Written]:
    """The program of one look of the audio-to-visual prior, for the weights in a folder."""
    fits = Weights(weights / "prior.safetensors")
    step = PriorStep(PriorNetwork.load(fits.path))
    sizes = {name: getattr(step.model.config, name) for name in ("frames", "past", "window")}
    with torch.no_grad():
        yield "prior", exported(step, step.example(ROWS), list(step.outputs), fits), fits, sizes


def sadtalker_programs(weights: Path) -> Iterator[Written]:
    """The programs of ExpNet's lips and PoseVAE's head, for the weights in a folder."""
    with torch.no_grad():
        fits = Weights(weights / "expnet.safetensors")
        lips = ExpNetStep(load_expnet(fits.path))
        yield "expnet", exported(lips, lips.example(ROWS), list(lips.outputs), fits), fits, {}
        fits = Weights(weights / "posevae.safetensors")
        net, style = load_posevae(fits.path)
        sound, stretch = SoundStep(net), StretchStep(net, style)
        yield "posevae_sound", exported(sound, sound.example(ROWS), list(sound.outputs), fits), fits, {}
        yield "posevae", exported(stretch, stretch.example(ROWS), list(stretch.outputs), fits), fits, {}


def files(weights: Path) -> dict[str, bytes]:
    """Every program for the weights in a folder, and their index, by file name."""
    found, index = {}, {}
    kinds = (motion_programs, prior_program, picture_programs, sadtalker_programs)
    for name, program, fits, notes in chain(*(kind(weights) for kind in kinds)):
        data = program.SerializeToString(deterministic=True)
        found[f"{name}.onnx"] = data
        known = {"sha256": hashlib.sha256(data).hexdigest(), "weights": fits.path.name, "fits": fits.fingerprint}
        index[name] = known | notes | {"tensors": tensors(program)}
    return found | {INDEX: (json.dumps(index, indent=1) + "\n").encode()}
