from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.airflow import FANOUT, MAPPED, THREADS, Way, measure
from bench.dags import COUNT
from bench.programs import NotInstalled, found


@pytest.mark.parametrize("way", [FANOUT, MAPPED, THREADS], ids=lambda way: way.dag_id)
def test_a_dag_has_a_task_that_fetches(way: Way, tmp_path: Path) -> None:
    """Each way is a DAG of its own whose step is called the same."""
    program = f"from bench.dags import {way.dag_id} as it; print(it.dag.dag_id, 'fetch' in it.dag.task_dict)"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines()[-1] == f"{way.dag_id} True"


@pytest.mark.airflow
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(found("cc") is None, reason=str(NotInstalled(("cc",))))
def test_the_ways_in_airflow_are_timed() -> None:
    """Two ways (the third takes minutes) bring all answers to MongoDB; their fetch step is shorter than the run."""
    rows = measure([way._replace(rounds=1) for way in (FANOUT, THREADS)])
    seconds = {(row["case"], row["client"]): COUNT / row["rate_per_s"] for row in rows}
    assert len(seconds) == 4
    for way in (FANOUT, THREADS):
        assert 0 < seconds["airflow-fetch", way.client] < seconds["airflow-run", way.client]
