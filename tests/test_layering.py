"""The house holds together: arrows point down, rooms are small, names are each their own. Read off the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["kernels", "engine", "webrtc", "clients"]
FILES = [p for layer in LAYERS for p in sorted((ROOT / layer).rglob("*.py"))]
# From below upwards: a room's files import from its own line and from those before it. A module may have a line of its
# own; all others stand in their folder's. docs/architecture.md draws it.
ROOMS = """
    kernels.checks kernels.scenes
    kernels.plain
    kernels.cpu kernels.cpu.looks
    kernels.gpu
    kernels
    engine
    engine.imaging
    engine.audio
    engine.face.kept
    engine.face
    engine.marking
    engine.motion
    engine.motion.prior
    engine.motion.head
    engine.motion.facial
    engine.programs
    engine.render.parts
    engine.render.preparation
    engine.render.remembered
    engine.render
    engine.render.learned
    engine.session
    engine.quality engine.pipeline engine.scheduler
    engine.cuda.posing
    engine.cuda
    engine.enrolment.photos
    engine.enrolment.trackers
    engine.enrolment
    engine.enrolment.footage.driving
    engine.enrolment.footage.looks
    engine.enrolment.footage.sides
    engine.enrolment.footage
    engine.sadtalker.voice engine.sadtalker.facerender engine.sadtalker.face3d.coefficient_network
    engine.sadtalker.quick
    engine.sadtalker.weights
    engine.sadtalker.face3d
    engine.sadtalker.talking
    engine.sadtalker
    engine.process
    engine.a2v
    engine.export
    engine.training
    engine.training.films
    engine.a2v.disentanglement
    engine.training.speech
    engine.training.pose
    engine.training.lips
    engine.training.hurry
    engine.training.beyond_lips
    engine.training.picture
    engine.training.sadtalker
    engine.training.sadtalker.render
    engine.evaluation
    engine.tuning
    engine.evaluation.enrolled
    webrtc.access
    webrtc
    webrtc.media
    webrtc.motion_feed webrtc.participants
    webrtc.rtc.sending
    webrtc.rtc
    webrtc.live_session
    webrtc.visitors
    webrtc.service
    webrtc.upkeep
    webrtc.http webrtc.http.sockets
    webrtc.upkeep.app_server
    webrtc.server
    webrtc.fleet
    webrtc.fleet.on_ray
    clients.trials clients.trials.receiving clients.trials.marks
    clients.films
    clients
    clients.trials.witness
    clients.trials.offline_room
    clients.agents
    clients.outputs
    clients.outputs.vtuber clients.outputs.streams
    clients.outputs.call
    clients.outputs.chosen
    clients.trials.call_reader
    clients.live
    clients.commands
    clients.sadtalker_cli
    clients.live_cli clients.film_cli
    clients.enrol_cli
    clients.cli
"""
MOST_FILES, MOST_LINES = 13, 320  # of a folder, besides __init__.py; of a file
FOREIGN = {  # package -> the only places that may import it
    "mediapipe": set(),
    "skimage": set(),
    "cv2": set(),
    "scipy": {"engine/training", "engine/evaluation"},
    "onnxruntime": {"engine/programs", "engine/enrolment/trackers", "engine/evaluation"},
    "onnx": {"engine/export"},
    "torchvision": {"engine/a2v/disentanglement"},
    "onnxscript": {"engine/export"},
    "asyncio": {"webrtc", "clients"},
    "socket": {"webrtc", "clients"},
    "aiortc": {"webrtc", "clients"},
    "fastapi": {"webrtc"},
    "ray": {"webrtc/fleet/on_ray"},
    "livekit": {"clients/agents", "clients/trials"},
    "pipecat": {"clients/agents"},
    "vision_agents": {"clients/agents"},
    "getstream": {"clients/agents"},
    "pickle": set(),
    "pulsectl": {"clients/outputs/call"},
    "pyvirtualcam": {"clients/outputs/call"},
    "c2pa": {"clients/films"},
    "pillow_heif": {"engine/enrolment/photos"},
    "pi_heif": {"engine/enrolment/photos"},
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def imports(path: Path, at_run_time: bool = False) -> set[str]:
    """Dotted names a file imports; ours down to the module. ``at_run_time`` leaves out what only types ask for."""
    tree = ast.parse(path.read_text())
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if at_run_time and id(node) in typing:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively: write the folder's name"
            module = node.module or ""
            whole = {f"{module}.{alias.name}" for alias in node.names}
            names |= {full if full in MODULES else module for full in whole}
    return names


@cache
def line_of(module: str) -> int:
    """Which line of ROOMS a module stands in: its own, or its folder's."""
    lines = [line.split() for line in ROOMS.strip().splitlines()]
    path = MODULES[module]
    folder = ".".join(path.parent.relative_to(ROOT).parts)
    for wanted in (module if path.name != "__init__.py" else folder, folder):
        for number, names in enumerate(lines):
            if wanted in names:
                return number
    raise AssertionError(f"{module} lies in a folder that ROOMS does not name: say what it may import")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_from_below(path: Path) -> None:
    name, module = str(path.relative_to(ROOT)), name_of(path)
    for known in imports(path, at_run_time=True) & set(MODULES):
        assert line_of(known) <= line_of(module), f"{name} must not know {known}, which stands above it"
    packages = {known.split(".")[0] for known in imports(path)}
    above = set(LAYERS[LAYERS.index(module.split(".")[0]) + 1 :])
    assert not packages & above, f"{name} must not know {packages & above}, not even for types"
    for package, places in FOREIGN.items():
        if package in packages:
            assert any(name.startswith(place) for place in places), f"{name} must not import {package}"


def test_no_module_imports_itself_by_a_detour() -> None:
    arrows = {module: imports(path, at_run_time=True) & set(MODULES) - {module} for module, path in MODULES.items()}
    left = dict(arrows)
    while leaves := [module for module, known in left.items() if not known & set(left)]:
        for module in leaves:
            del left[module]
    assert not left, f"these modules import one another in a ring, or hang on one that does: {sorted(left)}"


def test_every_module_has_a_name_of_its_own() -> None:
    stems = [p.stem for p in FILES if p.name != "__init__.py"]
    folders = {p.parent.name for p in FILES if p.name == "__init__.py"}
    assert not [name for name, count in Counter(stems).items() if count > 1], "several modules share a name"
    assert not set(stems) & folders, "a module and a folder share a name"
    theirs = {*stems, *folders} & set(sys.stdlib_module_names)
    assert theirs <= {"http"}, f"{theirs} are names of the standard library's"
    assert "http" not in stems, "webrtc/http is a folder; no module may be called so"


def test_rooms_and_files_are_small() -> None:
    for folder in {p.parent for p in FILES}:
        count = len([p for p in folder.glob("*.py") if p.name != "__init__.py"])
        assert count <= MOST_FILES, f"{folder.relative_to(ROOT)} holds {count} files: make a room of some of them"
    for path in FILES:
        lines = len(path.read_text().splitlines())
        assert lines <= MOST_LINES, f"{path.relative_to(ROOT)} has {lines} lines: which second idea is in it?"


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_importing_everything_touches_no_cuda_and_no_weights() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    optional = {"livekit", "pipecat", "vision_agents", "ray"}
    modules = [
        module
        for module, path in MODULES.items()
        if "training" not in path.parts and not optional & {name.split(".")[0] for name in imports(path)}
    ]
    run(
        "import torch\n"
        "def refuse(*a, **k): raise AssertionError('CUDA was touched at import')\n"
        "torch._C._cuda_init = refuse\n"
        "import safetensors, safetensors.torch, safetensors.numpy\n"
        "def weights(*a, **k): raise AssertionError('weights were read at import')\n"
        "safetensors.safe_open = safetensors.torch.load_file = safetensors.numpy.load_file = weights\n"
        f"import importlib\n[importlib.import_module(m) for m in {modules!r}]\n"
        "assert not torch.cuda.is_initialized()\n"
        "import sys\nassert 'mediapipe' not in sys.modules and 'jax' not in sys.modules\n"
    )


def test_the_server_side_does_not_load_torch() -> None:
    run("import engine.process.keeper, sys; assert 'torch' not in sys.modules and 'numba' not in sys.modules")


def test_transformers_wav2vec_imports_beside_our_kernels() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    run(
        "import warnings; warnings.simplefilter('ignore')\n"
        "import kernels; assert kernels.__version__ and hasattr(kernels, 'rasterize')\n"
        "from transformers import Wav2Vec2Config, Wav2Vec2Model\n"
        "tiny = Wav2Vec2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,"
        " conv_dim=(8,), conv_stride=(5,), conv_kernel=(10,), num_feat_extract_layers=1,"
        " num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2)\n"
        "assert Wav2Vec2Model(tiny).eval()\n"
    )


NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}  # documented, whatever their names look like
NO_PUBLIC_NAME = {  # file -> what aiortc offers in no other way
    "webrtc/rtc/aiortc_patches.py": {"_create_ssl_context"},
    "webrtc/bounded_transports.py": {"_connection", "_receive_data_chunk"},
    "webrtc/rtc/ice_restart.py": {"_connection"},
    "webrtc/rtc/jitter_buffers.py": {"_data"},
    "webrtc/rtc/sending/picture_sender.py": {"_handle_rtcp_packet", "_next_encoded_frame", "_send_keyframe", "_ssrc"},
    "webrtc/rtc/voice_receiver.py": {"_handle_rtp_packet", "_handle_rtcp_packet"},
}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLES


def looked_into(tree: ast.Module) -> list[tuple[int, str]]:
    """Lines, and the private names of others that they read or write.

    A name is one's own through ``self`` or ``cls``, or inside a class whose ``self`` has it: such a class may look into
    others of its kind.
    """
    found = []
    for top in tree.body:
        accesses = [node for node in ast.walk(top) if isinstance(node, ast.Attribute) and private(node.attr)]
        own = {id(node) for node in accesses if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")}
        names = {node.attr for node in accesses if id(node) in own} if isinstance(top, ast.ClassDef) else set()
        found += [(n.lineno, ast.unparse(n)) for n in accesses if id(n) not in own and n.attr not in names]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found += [(node.lineno, alias.name) for alias in node.names if private(alias.name)]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_reads_what_another_keeps_to_itself(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    allowed = NO_PUBLIC_NAME.get(name, set())
    found = [
        (line, what) for line, what in looked_into(ast.parse(path.read_text())) if what.split(".")[-1] not in allowed
    ]
    assert not found, f"{name} reads {found}: give them a public name where they are defined"


def test_private_access_is_seen() -> None:
    def names(code: str) -> list[str]:
        return [what for _, what in looked_into(ast.parse(code))]

    assert names("from a import _b, c") == ["_b"]
    assert names("import a\na._b()\na.c._d = 1") == ["a._b", "a.c._d"]
    assert names("class A:\n def f(self): self._x = 1\n\ndef g(a: A): return a._x") == ["a._x"]
    assert names("class A:\n def f(self, other): return self._x == other._x, other._y") == ["other._y"]
    assert names("def f(point): return point._replace(x=1), point.__class__") == []


@cache
def defined(module: str) -> set[str]:
    """Names at the top of a module of ours, and the modules beneath it."""
    names = {known.rsplit(".", 1)[1] for known in MODULES if known.rpartition(".")[0] == module}
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted(p for p in (ROOT / "scripts").iterdir() if p.is_file()), ids=lambda p: p.name)
def test_scripts_import_what_there_is(path: Path) -> None:
    """Most scripts run for minutes, so that no test runs them: a name that has moved must be seen here."""
    if not path.read_text().startswith("#!/usr/bin/env python3"):
        pytest.skip("a shell script")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LAYERS:
            assert node.module in MODULES, f"{node.module} is not there"
            missing = {alias.name for alias in node.names} - defined(node.module)
            assert not missing, f"{node.module} has no {missing}"
