"""Planning, fetching, judging and encoding need no Airflow: a command line or a page can do the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.http.servers import Connection, Seen, Server, as_json

ROOT = Path(__file__).parents[2]


def answer(seen: Seen, _: Connection) -> bytes:
    """Answer with the number that was asked for."""
    return as_json({"number": int(seen.path[1:])})


def test_a_report_of_a_thousand_goes_the_whole_way_without_airflow(tmp_path: Path) -> None:
    """In an interpreter that can't import Airflow, against a real server: every result is there, good and encoded."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])}
    with Server(answer) as server:
        command = [sys.executable, "-m", "tests.engine.without_airflow", server.origin, str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"kinds": {"ok": 1_000}, "good": True, "documents": 1_000}
    assert len(server.seen) == 1_000
