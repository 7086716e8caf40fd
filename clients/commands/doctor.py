"""`vivify doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.util
import platform
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from engine import avatars
from engine.errors import VivifyError


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``needed`` findings decide the exit code."""

    what: str
    ok: bool
    found: str
    advice: str = ""
    needed: bool = True


def check(port: int) -> list[Finding]:
    """Look at everything once. Never raises: a check that breaks is a finding."""
    checks: list[Callable[[], Finding]] = [
        _python,
        _torch,
        _cuda,
        _triton,
        _kernels,
        _codecs,
        _weights,
        _avatars,
        _trackers,
        _microphones,
        _vtuber,
        _camera,
        _microphone,
        _ray,
    ]
    findings = []
    checks.append(lambda: _port(port))
    for one in checks:
        try:
            findings.append(one())
        except Exception as error:
            findings.append(
                Finding(one.__name__.strip("_"), False, f"{type(error).__name__}: {error}", "reinstall vivify")
            )
    return findings


def _python() -> Finding:
    ok = (3, 11) <= sys.version_info[:2] <= (3, 14)
    return Finding("Python", ok, platform.python_version(), "" if ok else "use Python 3.11 to 3.14")


def _microphones() -> Finding:
    from clients.live.sound_sources import inputs

    found = inputs()
    advice = "vivify live needs one, or --sound: pip install 'vivify[call]', apt install libportaudio2 pulseaudio-utils"
    return Finding("microphones", bool(found), f"{len(found)} inputs", "" if found else advice, needed=False)


def _vtuber() -> Finding:
    there = importlib.util.find_spec("pythonosc") is not None
    advice = "" if there else "only vivify live --vmc needs it: pip install 'vivify[vtuber]'"
    return Finding("python-osc", there, "installed" if there else "not installed", advice, needed=False)


def _torch() -> Finding:
    if importlib.util.find_spec("torch") is None:
        what = "only a GPU, training and evaluating need it: pip install 'vivify[cuda]'"
        return Finding("torch", False, "not installed", what, needed=False)
    import torch

    ok = tuple(int(p) for p in torch.__version__.split("+")[0].split(".")[:2]) >= (2, 11)
    return Finding("torch", ok, torch.__version__, "" if ok else "pip install 'torch>=2.11'")


def _cuda() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("CUDA", False, "not looked for", "torch finds it, where it is wanted", needed=False)
    import torch

    if torch.cuda.is_available():
        return Finding("CUDA", True, torch.cuda.get_device_name(0), needed=False)
    return Finding("CUDA", False, "no device", "none needed: the CPU path serves 25 fps at 512 x 512", needed=False)


def _triton() -> Finding:
    if importlib.util.find_spec("triton") is None:
        return Finding("Triton", False, "not installed", "only GPU kernels need it: pip install triton", needed=False)
    from importlib.metadata import version

    return Finding("Triton", True, version("triton"), needed=False)


def _kernels() -> Finding:
    from importlib.metadata import version

    return Finding("CPU kernels", True, f"numba {version('numba')}")


def _codecs() -> Finding:
    import av

    wanted = ("libvpx", "libx264", "libopus", "aac")
    missing = [name for name in wanted if name not in av.codecs_available]
    found = f"PyAV {av.__version__}: {', '.join(n for n in wanted if n not in missing)}"
    advice = f"missing {', '.join(missing)}: reinstall av from its wheel" if missing else ""
    return Finding("codecs", not missing, found, advice)


def _weights() -> Finding:
    from engine.config import DEFAULT_MOVER
    from engine.programs.motion_programs import MotionPrograms
    from engine.programs.movers import open_mover

    try:
        MotionPrograms(1)
        open_mover(DEFAULT_MOVER, 1)
    except (VivifyError, FileNotFoundError) as error:
        return Finding("motion weights", False, str(error), "reinstall vivify")
    return Finding("motion weights", True, "load")


def _avatars() -> Finding:
    from engine.face.avatar import Avatar

    table = avatars.installed()
    for folder in table.values():
        Avatar.load(folder)
    return Finding("avatars", bool(table), ", ".join(table), "" if table else "reinstall vivify")


def _trackers() -> Finding:
    from engine.enrolment.trackers.tracker_session import NAMES, tracker

    for name in NAMES:
        tracker(name)
    return Finding("face trackers", True, f"{len(NAMES)} load")


def _camera() -> Finding:
    from clients.outputs.call import call_cures

    cure = call_cures.camera()
    return Finding("call camera", cure.ok, cure.found, cure.advice, needed=False)


def _microphone() -> Finding:
    from clients.outputs.call import call_cures

    cure = call_cures.microphone()
    return Finding("call microphone", cure.ok, cure.found, cure.advice, needed=False)


def _ray() -> Finding:
    if importlib.util.find_spec("ray") is None:
        advice = "only vivify fleet needs it: pip install 'vivify[fleet]'"
        return Finding("Ray", False, "not installed", advice, needed=False)
    from importlib.metadata import version

    there = importlib.util.find_spec("aiohttp_cors") is not None  # of ray[serve], and of none of ours
    return Finding("Ray", there, version("ray"), "" if there else "pip install 'vivify[fleet]'", needed=False)


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return Finding(f"port {port}", False, "in use", f"vivify serve --port {port + 1}", needed=False)
    return Finding(f"port {port}", True, "free")
