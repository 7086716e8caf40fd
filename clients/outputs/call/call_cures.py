"""What this machine lacks for a camera and a microphone, and the one command that cures it: for `vivify doctor`."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from clients.outputs.call import sound_server
from clients.outputs.call.pipewire_camera import NO_DAEMON, missing
from clients.outputs.call.pulse_player import library
from clients.outputs.call.v4l2 import cards
from clients.outputs.output import OutputError

LOAD = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=Vivify"
INSTALL_MODULE = {
    "debian": "sudo apt install v4l2loopback-dkms linux-headers-$(uname -r)",
    "fedora": "sudo dnf install akmod-v4l2loopback",  # of RPM Fusion
    "arch": "sudo pacman -S --needed v4l2loopback-dkms linux-headers",
}
INSTALL_NODE = {
    "debian": "sudo apt install gstreamer1.0-pipewire gstreamer1.0-tools gstreamer1.0-plugins-base",
    "fedora": "sudo dnf install pipewire-gstreamer gstreamer1 gstreamer1-plugins-base",
    "arch": "sudo pacman -S --needed gst-plugin-pipewire gst-plugins-base",
}
INSTALL_SOUND = {
    "debian": "sudo apt install pipewire-pulse pulseaudio-utils libpulse0",
    "fedora": "sudo dnf install pipewire-pulseaudio pulseaudio-utils pulseaudio-libs",
    "arch": "sudo pacman -S --needed pipewire-pulse libpulse",
}
ELSEWHERE_CAMERA = "not tried: pip install pyvirtualcam, install OBS, and start its virtual camera once"
ELSEWHERE_SOUND = {
    "win32": "not tried, and --microphone is Linux's: install VB-Cable and play vivify's voice into it",
    "darwin": "not tried, and --microphone is Linux's: install BlackHole and play vivify's voice into it",
}


@dataclass(frozen=True, slots=True)
class Cure:
    """What there is, or what is missing; and a command, "" where there is nothing to cure."""

    ok: bool
    found: str
    advice: str = ""


def camera() -> Cure:
    """Whether `--camera` can work."""
    if sys.platform != "linux":
        return Cure(False, "not looked for", ELSEWHERE_CAMERA)
    found = cards()
    if any(card.free for card in found):
        return Cure(True, ", ".join(f"{card.path} ({card.label})" for card in found if card.free))
    if hidden := sorted(str(path) for path in Path("/dev").glob("video*") if not os.access(path, os.R_OK | os.W_OK)):
        return Cure(False, f"{hidden[0]} may not be opened", "sudo usermod -aG video $USER, and log in again")
    lacking = missing()
    if lacking is None:
        return Cure(True, f"PipeWire; for programs that see only devices: {module_cure()}")
    if found:
        return Cure(False, f"{found[0].path} is in use", "end the program that writes into it")
    cure = module_cure() if lacking == NO_DAEMON else f"{module_cure()}; or {of(INSTALL_NODE)}"
    return Cure(False, f"no free v4l2loopback device, and {lacking} is missing", cure)


def microphone() -> Cure:
    """Whether `--microphone` can work, and whether one was left over."""
    if sys.platform != "linux":
        return Cure(False, "not looked for", ELSEWHERE_SOUND.get(sys.platform, "Linux only"))
    try:
        library()
        with sound_server.connected() as server:
            name = server.server_info().server_name
            left = sound_server.left_over(server)
    except OutputError as error:
        bare = str(error) == sound_server.MISSING
        return Cure(False, str(error).split(":")[0], "pip install 'vivify[call]'" if bare else of(INSTALL_SOUND))
    told = f", {len(left)} modules left over, which the next --microphone removes" if left else ""
    return Cure(True, name + told)


def module_cure(modules: Path = Path("/lib/modules")) -> str:
    """The command that brings v4l2loopback: loading it is enough where it is installed."""
    installed = any((modules / platform.release()).rglob("v4l2loopback.ko*"))
    return LOAD if installed else f"{of(INSTALL_MODULE)} && {LOAD}"


def of(commands: dict[str, str], release: Path = Path("/etc/os-release")) -> str:
    """The command of this machine's family of systems; all of them where it is another."""
    try:
        lines = release.read_text().splitlines()
    except OSError:
        lines = []
    words = {word for line in lines if line.startswith(("ID=", "ID_LIKE=")) for word in line.partition("=")[2].split()}
    for word in {word.strip('"') for word in words}:
        family = {"ubuntu": "debian", "rhel": "fedora"}.get(word, word)
        if family in commands:
            return commands[family]
    return "; or ".join(f"{command} ({family})" for family, command in commands.items())
