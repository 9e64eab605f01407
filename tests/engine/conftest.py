from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.engine.harness import settings

if TYPE_CHECKING:
    from tests.engine.harness import Sending


@pytest.fixture(scope="module", params=["curl", "requests"])
def sending(request: pytest.FixtureRequest) -> Sending:
    """Settings of each transport in turn: what holds for one holds for the other."""
    return partial(settings, transport=request.param)
