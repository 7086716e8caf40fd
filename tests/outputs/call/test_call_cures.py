"""What the doctor says of cameras and microphones: what is missing, and the one command of each system."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest
from private_sound import pulseaudio

from clients.outputs.call import call_cures
from clients.outputs.call.v4l2 import Card
from clients.outputs.output import OutputError

pytestmark = [pytest.mark.cpu, pytest.mark.skipif(sys.platform != "linux", reason="cures are Linux's")]


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("ID=debian\n", "sudo apt install v4l2loopback"),
        ("ID=ubuntu\nID_LIKE=debian\n", "sudo apt install v4l2loopback"),
        ('ID="nobara"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install akmod-v4l2loopback"),
        ("ID=manjaro\nID_LIKE=arch\n", "sudo pacman -S --needed v4l2loopback-dkms"),
        ("ID=void\n", "linux-headers (arch)"),
    ],
)
def test_each_family_of_systems_has_its_command(release: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text(release)
    assert said in call_cures.of(call_cures.INSTALL_MODULE, tmp_path / "os-release")
    assert call_cures.of({"debian": "one", "arch": "two"}, tmp_path / "none") == "one (debian); or two (arch)"


def test_a_module_that_is_installed_is_only_to_be_loaded(tmp_path: Path) -> None:
    assert call_cures.module_cure(tmp_path).endswith(f"&& {call_cures.LOAD}")
    folder = tmp_path / platform.release() / "updates" / "dkms"
    folder.mkdir(parents=True)
    (folder / "v4l2loopback.ko.xz").touch()
    assert call_cures.module_cure(tmp_path) == call_cures.LOAD


def test_a_camera_is_there_or_its_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Card("/dev/video3", "Vivify", True)]
    monkeypatch.setattr(call_cures, "cards", lambda: found)
    monkeypatch.setattr(call_cures, "missing", lambda: None)
    assert call_cures.camera() == call_cures.Cure(True, "/dev/video3 (Vivify)")
    found[:] = [Card("/dev/video3", "Vivify", False)]
    assert call_cures.camera().ok, "PipeWire is there all the same"
    monkeypatch.setattr(call_cures, "missing", lambda: "the program gst-launch-1.0")
    assert call_cures.camera() == call_cures.Cure(False, "/dev/video3 is in use", "end the program that writes into it")
    found.clear()
    cure = call_cures.camera()
    assert "gst-launch-1.0 is missing" in cure.found
    assert "modprobe v4l2loopback exclusive_caps=1" in cure.advice


def test_a_microphone_is_there_or_its_cure_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pulseaudio(monkeypatch):
        assert call_cures.microphone() == call_cures.Cure(True, "pulseaudio")
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    cure = call_cures.microphone()
    assert not cure.ok
    assert "pipewire-pulse" in cure.advice

    def no_library() -> None:
        raise OutputError("--microphone needs libpulse-simple.so.0, which is not here: more.")

    monkeypatch.setattr(call_cures, "library", no_library)
    assert call_cures.microphone().found == "--microphone needs libpulse-simple.so.0, which is not here"


def test_other_systems_are_told_what_was_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for system, word in (("darwin", "BlackHole"), ("win32", "VB-Cable")):
        monkeypatch.setattr(sys, "platform", system)
        assert word in call_cures.microphone().advice
        assert "pyvirtualcam" in call_cures.camera().advice
