from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import settings
from pymongo import MongoClient

if TYPE_CHECKING:
    from pymongo.collection import Collection

# On a busy machine an example may take any time; what a test proves is no matter of time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="package")
def client(mongo_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the real MongoDB."""
    with MongoClient[dict[str, Any]](mongo_uri) as made:
        yield made


@pytest.fixture
def collection(client: MongoClient[dict[str, Any]]) -> Iterator[Collection[dict[str, Any]]]:
    """A collection of the test's own."""
    made = client.reports[f"test_{uuid4().hex}"]
    yield made
    made.drop()
