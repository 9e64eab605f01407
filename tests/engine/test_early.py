"""An interpreter into which others have loaded something before the engine could patch it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_fanout.api.request import Request
from airflow_fanout.launch.stop_reasons import Finished
from tests.engine.harness import frozen, job, run, settings

if TYPE_CHECKING:
    import pytest

PROGRAM = Path(__file__).parents[2] / "plugins" / "airflow_fanout" / "engine" / "__main__.py"
PATCHED = """
import json, runpy, sys
from importlib import metadata

looks, distributions = [], metadata.distributions
metadata.distributions = lambda **criteria: looks.append(criteria) or distributions(**criteria)
runpy.run_path(sys.argv[1], run_name="engine")
import plugin, socket
print(json.dumps([len(looks), plugin.events, socket.socket.__module__, len(list(metadata.entry_points(name="seen")))]))
"""


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


def test_the_installed_packages_are_looked_through_once(tmp_path: Path) -> None:
    """However many packages are installed, the engine starts soon, and gevent's plugins hear of its patch."""
    info = tmp_path / "plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: plugin\n")
    (tmp_path / "plugin.py").write_text("events = []\ndef seen(event):\n    events.append(type(event).__name__)\n")
    (info / "entry_points.txt").write_text("[gevent.plugins.monkey.did_patch_all]\nseen = plugin:seen\n")
    command = [sys.executable, "-P", "-c", PATCHED, str(PROGRAM)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [1, ["GeventDidPatchAllEvent"], "gevent._socket3", 1]
