"""Virtual cameras of Windows and macOS, through pyvirtualcam, which is under the GPL: who wants it installs it."""

from __future__ import annotations

from typing import Any

import numpy as np

from clients.outputs.output import OutputError

MISSING = (
    "--camera needs pyvirtualcam here, which is not there and which we do not bring, for it is under the GPL: "
    "pip install pyvirtualcam, and OBS, whose virtual camera it drives."
)


class ForeignCamera:
    """OBS's virtual camera, or UnityCapture. Not tried: we have neither system."""

    path_s = 0.0

    def __init__(self, device: str, size: int, fps: int) -> None:
        """``device``: auto, or a name. Raises OutputError."""
        try:
            import pyvirtualcam
        except ImportError:
            raise OutputError(MISSING) from None
        try:
            self._camera: Any = pyvirtualcam.Camera(
                size, size, fps, fmt=pyvirtualcam.PixelFormat.I420, device=None if device == "auto" else device
            )
        except RuntimeError as error:
            raise OutputError(f"--camera did not start ({error}): start OBS's virtual camera once.") from None
        self.state = str(self._camera.device)

    def write(self, planes: memoryview) -> None:
        """One whole frame, I420."""
        self._camera.send(np.frombuffer(planes, np.uint8))

    def close(self) -> None:
        self._camera.close()
