"""One fleet for all tests of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fleet_serving import Fleet, fleet


@pytest.fixture(scope="session")
def two() -> Iterator[Fleet]:
    with fleet() as running:
        yield running
