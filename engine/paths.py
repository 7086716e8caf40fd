"""Where the bundled assets lie: inside the installed package, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def assets() -> Path:
    """The assets folder: ``engine/assets`` in an installed wheel, ``assets`` beside ``engine`` in a checkout."""
    for folder in (_PACKAGE / "assets", _PACKAGE.parent / "assets"):
        if (folder / "speech.wav").is_file():
            return folder
    raise FileNotFoundError(
        f"The bundled assets were expected in {_PACKAGE / 'assets'} or {_PACKAGE.parent / 'assets'}, but neither "
        "holds speech.wav: reinstall vivify."
    )
