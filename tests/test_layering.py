"""Data flows one way: kernels <- engine <- webrtc <- clients. Held by the imports' syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["kernels", "engine", "webrtc", "clients"]
FILES = [p for layer in LAYERS for p in sorted((ROOT / layer).rglob("*.py"))]
FOREIGN = {  # package -> the only places that may import it
    "mediapipe": {"engine/enrolment/landmarks.py", "engine/training"},
    "skimage": {"engine/enrolment/landmarks.py", "engine/training", "engine/evaluation"},
    "onnxruntime": {"engine/evaluation"},
    "asyncio": {"webrtc", "clients"},
    "socket": {"webrtc", "clients"},
    "aiortc": {"webrtc", "clients"},
    "fastapi": {"webrtc"},
    "pickle": set(),
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively: write the folder's name"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_from_below(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    layer = name.split("/")[0]
    names = imported(path)
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    assert not names & above, f"{name} is of {layer} and must not know {names & above}"
    for package, places in FOREIGN.items():
        if package in names:
            assert any(name.startswith(place) for place in places), f"{name} must not import {package}"


def run(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_importing_everything_touches_no_cuda_and_no_weights() -> None:
    modules = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in FILES if "training" not in p.parts]
    modules = [m.removesuffix(".__init__") for m in modules]
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
    run("import engine.process.engine_process, sys; assert 'torch' not in sys.modules and 'numba' not in sys.modules")


def test_transformers_wav2vec_imports_beside_our_kernels() -> None:
    run(
        "import warnings; warnings.simplefilter('ignore')\n"
        "import kernels; assert kernels.__version__ and hasattr(kernels, 'rasterize')\n"
        "from transformers import Wav2Vec2Config, Wav2Vec2Model\n"
        "tiny = Wav2Vec2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,"
        " conv_dim=(8,), conv_stride=(5,), conv_kernel=(10,), num_feat_extract_layers=1,"
        " num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2)\n"
        "assert Wav2Vec2Model(tiny).eval()\n"
    )
