from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import Running, engine, running


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    with running() as server:
        yield server
    engine().stop()
