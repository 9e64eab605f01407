from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.store import Store
from tests.staging.objects import memory_store, s3_store

# On a busy machine an example may take any time; what a test proves is no matter of time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of each kind, which holds nothing."""
    if request.param == "folder":
        return FolderStore(tmp_path / "staging", 0o700)
    return memory_store() if request.param == "memory" else s3_store(request.getfixturevalue("s3"))
