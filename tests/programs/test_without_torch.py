"""What serves, renders and talks on a CPU never loads torch: neither its memory nor its seconds are spent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.audio.sound_files import read_speech
from engine.paths import assets

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> None:
    """Run ``code`` in a process of its own, which must not have loaded torch in the end."""
    code += "\nimport sys; assert 'torch' not in sys.modules, 'torch was loaded'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_commands_and_the_engine_process_import_no_torch_and_tell_nobody(tmp_path: Path) -> None:
    """ONNX Runtime's telemetry begins with a file in the temporary folder (`findings/onnxruntime_tells.sh`)."""
    run(
        f"import os\nos.environ['TMPDIR'] = {str(tmp_path)!r}\nos.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "import clients.cli, clients.commands.serve, clients.commands.talk, engine.process.engine_worker, onnxruntime"
    )
    assert not list(tmp_path.iterdir())


def test_a_film_is_enrolled_with_what_is_installed_without_extras() -> None:
    modules = "clients.enrol_cli, engine.enrolment.footage.film_enrolment, engine.tuning.own_picture"
    modules += ", engine.process.enrolment_worker, engine.render.preview"
    run(f"import sys\nsys.modules['scipy'] = None\nimport {modules}")


@pytest.mark.parametrize(
    "asked", ["quality='geometry'", "quality='learned'", "lips='expnet', mover='posevae'", "mover='prior'"]
)
def test_a_film_is_rendered_without_torch(tmp_path: Path, asked: str) -> None:
    np.save(tmp_path / "voice.npy", read_speech(assets() / "speech.wav")[: 640 * 12])
    run(
        "import wave\nimport numpy as np\nfrom pathlib import Path\n"
        "from clients.commands.render_film import render\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "voice = (32767 * np.load(folder / 'voice.npy')).astype(np.int16)\n"
        "with wave.open(str(folder / 'voice.wav'), 'wb') as file:\n"
        "    file.setnchannels(1); file.setsampwidth(2); file.setframerate(16_000)\n"
        "    file.writeframes(voice.tobytes())\n"
        f"told = render(folder / 'voice.wav', folder / 'film.mp4', 'astronaut', size=256, {asked})\n"
        "assert told.frames == 12"
    )
    assert (tmp_path / "film.mp4").stat().st_size > 1000


def test_the_engine_process_serves_without_torch() -> None:
    run(
        "import mmap, os\nfrom engine.config import SLOTS_PER_SESSION, EngineConfig, slot_bytes\n"
        "from engine.process.engine_worker import Worker\nfrom engine.process.wire import Wire\n"
        "config = EngineConfig(size=256, max_sessions=1)\n"
        "read, write = os.pipe()\nos.close(write)\n"
        "wire = Wire(os.fdopen(read, 'rb'), open(os.devnull, 'wb'))\n"
        "Worker(config, wire, mmap.mmap(-1, SLOTS_PER_SESSION * slot_bytes(256))).run()"
    )
