"""Which avatars there are. A name is looked up in a table; it never becomes a path."""

from __future__ import annotations

from pathlib import Path

from engine.errors import UnknownAvatar
from engine.paths import assets


def installed() -> dict[str, Path]:
    """Bundled avatars by name."""
    return {p.parent.name: p.parent for p in sorted((assets() / "avatars").glob("*/avatar.json"))}


def resolve(name_or_folder: str) -> tuple[str, Path]:
    """The name and folder of a bundled avatar, or of an enrolled folder the operator points at.

    Only for what the person at the machine typed. Raises UnknownAvatar in one sentence.
    """
    table = installed()
    if name_or_folder in table:
        return name_or_folder, table[name_or_folder]
    folder = Path(name_or_folder).expanduser()
    if (folder / "avatar.json").is_file():
        return folder.resolve().name, folder
    raise UnknownAvatar(
        f"'{name_or_folder}' is neither a bundled avatar ({', '.join(table)}) nor a folder with an avatar.json in it: "
        "make one with 'vivify enroll PHOTO -o FOLDER'."
    )
