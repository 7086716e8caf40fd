"""The preview shows what was understood of the photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.face.png import read_png
from engine.render.preview import TILE, draw_preview, save_preview

pytestmark = pytest.mark.cpu


def test_six_pictures_that_differ(astronaut: Avatar) -> None:
    picture = draw_preview(astronaut)
    assert picture.shape == (2 * TILE, 3 * TILE, 3)
    tiles = [picture[y : y + TILE, x : x + TILE].astype(int) for y in (0, TILE) for x in (0, TILE, 2 * TILE)]
    below = slice(32, None)  # under the label
    for k, tile in enumerate(tiles):
        for other in tiles[k + 1 :]:
            assert np.abs(tile[below] - other[below]).max() > 60
    neutral, closed = tiles[2], tiles[4]
    changed = np.argwhere(np.abs(neutral[below] - closed[below]).max(-1) > 25)[:, 0] + 32
    eyes = astronaut.reference[[33, 263, 159, 145], 1] * TILE / astronaut.size
    assert changed.min() > eyes.min() - 20
    assert changed.max() < eyes.max() + 20, "closing the eyes changes nothing else"


def test_the_person_is_lit_and_the_rest_is_tinted(astronaut: Avatar) -> None:
    tile = draw_preview(astronaut)[:TILE, TILE : 2 * TILE].astype(int)
    corner, nose = tile[30:40, -10:], (astronaut.reference[1, :2] * TILE / astronaut.size).astype(int)
    assert corner[..., 2].mean() > corner[..., 0].mean() + 25
    skin = tile[nose[1] - 2 : nose[1] + 3, nose[0] - 2 : nose[0] + 3]
    assert skin[..., 0].mean() > skin[..., 2].mean()


def test_it_lies_beside_the_avatar_and_disturbs_nothing(astronaut: Avatar, tmp_path: Path) -> None:
    astronaut.save(tmp_path / "a")
    path = save_preview(astronaut, tmp_path / "a")
    assert path == tmp_path / "a" / "preview.png"
    assert read_png(path, 10**7).shape == (2 * TILE, 3 * TILE, 4)
    assert Avatar.load(tmp_path / "a").name == astronaut.name


def test_an_unwritable_folder(astronaut: Avatar, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VivifyError, match="could not be written"):
        save_preview(astronaut, tmp_path / "file" / "a")
