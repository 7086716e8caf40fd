"""The pictures of a whole film, of the face alone or put back into its photo."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from engine.contracts import ByteArray
from engine.imaging.resampling import resized
from engine.sadtalker.face3d.moved_faces import MovedPortrait
from engine.sadtalker.facerender.mapping_net import coefficient_windows
from engine.sadtalker.talking.face_painter import DrawingNetworks, FacePainter
from engine.sadtalker.talking.photo_blending import Blending
from engine.sadtalker.weights.weight_file import Weights

LONGEST_SIDE = 1920  # pixels of a photo that is filmed whole


class FilmPictures:
    """``size``: the square's side, or for whole photos their width and height, even numbers. ``face``: where in it
    the photo's face lies, left, top, right, bottom."""

    def __init__(self, weights: Weights, portrait: MovedPortrait, full: bool) -> None:
        self._painter = FacePainter(DrawingNetworks(weights, full), portrait.picture, portrait.coefficients)
        self._photo: ByteArray | None = None
        self.size: int | tuple[int, int] = weights.pixels
        left, above, share = portrait.square.left, portrait.square.above, weights.pixels / portrait.square.side
        if full:
            high, wide = portrait.photo.shape[:2]
            less = min(1.0, LONGEST_SIDE / max(high, wide))
            left, above, share = 0, 0, less
            self.size = 2 * int(less * wide / 2), 2 * int(less * high / 2)
            self._photo = resized(portrait.photo, *self.size)
            square = portrait.square
            self._left, self._above = int(square.left * less), int(square.above * less)
            room = min(self.size[0] - self._left, self.size[1] - self._above)
            self._side = min(int(square.side * less), room)
            self._blend = Blending(self._side)
        x0, y0, x1, y1 = portrait.face
        self.face = share * (x0 - left), share * (y0 - above), share * (x1 - left), share * (y1 - above)

    def drawn(self, motion: Tensor) -> Iterator[ByteArray]:
        """One for each of the coefficients [T, 70 or 73]. A frame sees thirteen to each side."""
        for window in coefficient_windows(motion):
            picture = self._painter.draw(self._painter.keypoints(window))
            yield picture if self._photo is None else self._put_back(picture)

    def _put_back(self, picture: ByteArray) -> ByteArray:
        assert self._photo is not None
        whole = self._photo.copy()
        rows = slice(self._above, self._above + self._side)
        columns = slice(self._left, self._left + self._side)
        whole[rows, columns] = self._blend(resized(picture, self._side, self._side), whole[rows, columns])
        return whole
