"""`vivify sadtalker import`: the released files, of either kind, made one file of ours. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from engine.errors import VivifyError
from engine.sadtalker.weights.network_set import Sizes
from engine.sadtalker.weights.pickled_part import Pickled, read_pickled
from engine.sadtalker.weights.standard_points import own_standard_points, read_standard_points
from engine.sadtalker.weights.weight_file import Tensors, check_names, check_numbers, write_weights

WHERE = "https://github.com/OpenTalker/SadTalker/releases"
# The released file's networks, and ours; PoseVAE's parts lie deeper there.
NETWORKS = {
    "face_3drecon": "coefficients",
    "audio2exp": "expression",
    "generator": "generator",
    "kp_extractor": "keypoints",
    "audio2pose": "pose",
}
POSE_PARTS = {
    "audio_encoder.audio_encoder.": "pose.audio_encoder.",
    "netG.encoder.": "pose.encoder.",
    "netG.decoder.": "pose.decoder.",
    "netD_motion.": "pose_discriminator.",
}
UNUSED = "he_estimator"  # reads poses off pictures while the render is trained; nothing of inference asks it
MAPPINGS = {"mapping_00229-model.pth.tar": "mapping_crop", "mapping_00109-model.pth.tar": "mapping_full"}
OLDER = {  # file -> entry -> network
    "auido2exp_00300-model.pth": {"model": "audio2exp"},
    "auido2pose_00140-model.pth": {"model": "audio2pose"},
    "facevid2vid_00189-model.pth.tar": {"generator": "generator", "kp_detector": "kp_extractor"},
    "epoch_20.pth": {"net_recon": "face_3drecon"},
}
POINTS_FILE = "similarity_Lm3D_all.mat"
DEPTH = 3  # folders below the given one that are looked into


@dataclass(frozen=True)
class Imported:
    """What was made: how many tensors and parameters, of which files, and what is to be told about them."""

    tensors: int
    parameters: int
    files: tuple[str, ...]
    notes: tuple[str, ...]


def import_release(folder: Path, out: Path, pixels: int | None = None, sizes: Sizes | None = None) -> Imported:
    """Read the release in ``folder`` and write ``out``.

    ``pixels`` chooses where the folder holds both sizes; ``sizes`` are the networks', the released ones unless a test
    says otherwise. Every tensor must have its place, name, shape and numbers. Raises VivifyError for anything else, and
    writes nothing then.
    """
    sizes = sizes or Sizes()
    found = _files(folder)
    notes: list[str] = []
    tensors: Tensors = {}
    main, pixels = _main_file(found, pixels)
    used, pickled = _sources(folder, found, main, notes)
    if main is not None:
        tensors.update(_read_released(main, notes))
        names = {name: tuple(value.shape) for name, value in tensors.items()}
        check_names(names, sizes, main.name, without_mappings=True)
        _check_all(tensors, main.name)  # before the slow part
    tensors.update(_unpickled(pickled))
    check_names({name: tuple(value.shape) for name, value in tensors.items()}, sizes, "the release")
    _check_all(tensors, "the release")
    if POINTS_FILE in found:
        points = read_standard_points(found[POINTS_FILE])
        used = [*used, found[POINTS_FILE]]
    else:
        points = own_standard_points()
        notes.append(f"{POINTS_FILE} is not there: photos are aligned by points of our own face model.")
    facts = {"source": "SadTalker", "files": {path.name: _digest(path) for path in used}}
    write_weights(out, tensors, sizes, pixels, points, facts)
    count = sum(value.numel() for value in tensors.values())
    return Imported(len(tensors), count, tuple(path.name for path in used), tuple(notes))


def _files(folder: Path) -> dict[str, Path]:
    """Files of the names that are known, the uppermost of each."""
    if not folder.is_dir():
        raise VivifyError(f"A folder of SadTalker's weights was expected at {folder}, but there is none: see {WHERE}.")
    known = {*MAPPINGS, *OLDER, POINTS_FILE, *(f"SadTalker_V0.0.2_{size}.safetensors" for size in (256, 512))}
    found: dict[str, Path] = {}
    level = [folder]
    for _ in range(DEPTH + 1):
        inside = [path for one in level for path in sorted(one.iterdir())]
        for path in inside:
            if path.name in known and path.is_file():
                found.setdefault(path.name, path)
        level = [path for path in inside if path.is_dir() and not path.is_symlink()][:1000]
    return found


def _main_file(found: dict[str, Path], pixels: int | None) -> tuple[Path | None, int]:
    there = [size for size in (256, 512) if f"SadTalker_V0.0.2_{size}.safetensors" in found]
    if pixels is not None and pixels not in (256, 512):
        raise VivifyError(f"--size was expected to be 256 or 512, but {pixels} was given.")
    if pixels is None and len(there) > 1:
        raise VivifyError("The folder holds weights for 256 and for 512 pixels: choose with --size 256 or --size 512.")
    if pixels is not None and there and pixels not in there:
        raise VivifyError(f"The folder holds no SadTalker_V0.0.2_{pixels}.safetensors, but that for {there[0]} pixels.")
    if pixels == 512 and not there:
        raise VivifyError("The older release has no weights for 512 pixels: leave out --size 512.")
    chosen = pixels or (there[0] if there else 256)
    return found.get(f"SadTalker_V0.0.2_{chosen}.safetensors"), chosen


def _read_released(path: Path, notes: list[str]) -> Tensors:
    """The tensors of the safetensors release, under our names."""
    tensors: Tensors = {}
    left = 0
    try:
        with safe_open(str(path), framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  no dictionary
                if f"{UNUSED}." in key:
                    left += 1
                    continue
                network, rest = _whose(key, path.name)
                for name, value in _placed(network, rest, file.get_tensor(key)).items():
                    if name in tensors:
                        raise VivifyError(f"'{name}' is twice in {path.name}, as '{key}' the second time.")
                    tensors[name] = value
    except (SafetensorError, OSError, ValueError) as problem:
        raise VivifyError(f"{path.name} is cut short or no file of weights: download it again.") from problem
    if left:
        notes.append(f"{left} tensors of {UNUSED} were left out: only training asks for them.")
    return tensors


def _whose(key: str, where: str) -> tuple[str, str]:
    """Which network a key belongs to, and its name there: the network's name may stand anywhere in it."""
    hits = [network for network in NETWORKS if f"{network}." in key]
    if len(hits) != 1:
        raise VivifyError(f"'{key}' in {where} belongs to no network of SadTalker's.")
    return hits[0], key.replace(f"{hits[0]}.", "", 1)


def _placed(network: str, rest: str, value: Tensor) -> Tensors:
    """A tensor under our name."""
    if network == "audio2pose":
        for theirs, ours in POSE_PARTS.items():
            if rest.startswith(theirs):
                return {ours + rest.removeprefix(theirs): value}
    return {f"{NETWORKS[network]}.{rest}": value}


def _sources(
    folder: Path, found: dict[str, Path], main: Path | None, notes: list[str]
) -> tuple[list[Path], list[Pickled]]:
    """The files that are used, and which of them are pickled. Raises VivifyError where one is missing."""
    older = [] if main else [Pickled(found[name], tuple(OLDER[name])) for name in OLDER if name in found]
    if main is None and len(older) < len(OLDER):
        absent = next(name for name in OLDER if name not in found)
        raise VivifyError(
            f"{folder} was expected to hold SadTalker_V0.0.2_256.safetensors, or the older release, of which "
            f"{absent} is missing: both are at {WHERE}."
        )
    mappings = [Pickled(found[name], ("mapping",)) for name in MAPPINGS if name in found]
    for name, network in MAPPINGS.items():
        if name not in found:
            notes.append(f"{name} is not there: without it, no '{network.removeprefix('mapping_')}' pictures.")
    pickled = older + mappings
    return [*([main] if main else []), *(file.path for file in pickled)], pickled


def _unpickled(files: list[Pickled]) -> Tensors:
    """The tensors of pickled files, under our names."""
    tensors: Tensors = {}
    with tempfile.TemporaryDirectory(prefix="vivify-import-") as folder:
        for file, part in zip(files, read_pickled(files, Path(folder)) if files else [], strict=True):
            for key, value in load_file(part).items():
                entry, rest = key.split(".", 1)
                network = MAPPINGS.get(file.path.name)
                named = {f"{network}.{rest}": value} if network else _placed(OLDER[file.path.name][entry], rest, value)
                tensors.update({name: tensor.clone() for name, tensor in named.items()})  # the folder goes
    return tensors


def _check_all(tensors: Tensors, where: str) -> None:
    for name, value in tensors.items():
        check_numbers(name, value, where)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
