"""An interpreter into which others have loaded something before the engine could patch it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_fanout.api.request import Request
from airflow_fanout.launch.stop_reasons import Finished
from tests.engine.harness import frozen, job, run, settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_agent_that_loads_tls_before_the_patch_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sitecustomize that imports requests would break every request over TLS: one clear error, nothing sent."""
    (tmp_path / "sitecustomize.py").write_text("import ssl, urllib3, requests\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}")
    found = run(job(frozen(tmp_path / "run", range(3)), Request(endpoint="/{0}"), how=settings(transport="requests")))
    assert found.failure.kind == "LoadedTooEarly"
    assert "urllib3" in found.failure.message
    assert f"{tmp_path}/sitecustomize.py" in found.failure.message
    assert found.records == []


def test_an_agent_that_loads_what_is_patched_in_place_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only refers to Python's own modules sees them patched."""
    (tmp_path / "sitecustomize.py").write_text("import json, socket, threading, http.client\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}")
    found = run(job(frozen(tmp_path / "run", range(3)), Request(endpoint="/{0}")))
    assert found.reason == Finished()
