from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from airflow_fanout.engine.libcurl.connections import Connections
from tests.engine.harness import settings
from tests.engine.pair import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.harness import Sending


@pytest.fixture(scope="module", params=["curl", "requests"])
def sending(request: pytest.FixtureRequest) -> Sending:
    """Settings of each transport in turn: what holds for one holds for the other."""
    return partial(settings, transport=request.param)


@pytest.fixture
def connections() -> Connections:
    """Give the connections of a libcurl that has none yet."""
    return Connections()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Give a connection."""
    pair = Pair()
    yield pair
    pair.close()
