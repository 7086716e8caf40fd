"""What the prior reads in one go: a few seconds of values and of sound, and which of both there are."""

from __future__ import annotations

HEARD = 33  # numbers of sound a frame: eight broad bands at four hops, and whether somebody speaks
STYLE = 2  # how lively head and face are: logarithms, 0 for usual
