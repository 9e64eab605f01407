"""A real Airflow under control: it runs DAGs, tells what happened, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.airflow import (
    Airflow,
    AirflowClient,
    AirflowHome,
    ComponentEnded,
    DagImportFailed,
    DagNotParsed,
    RequestRefused,
    RunNotFinished,
    environment,
    initialise,
    load_keys,
    run_dag,
)
from harness.airflow.server import unreported
from harness.airflow.task_log import log_line
from harness.processes import free_port
from tests.harness.dag_files import daily, slow, two_tasks, wait_resting
from tests.metadata import copied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.airflow_fixture import AddDag, SharedAirflow
    from tests.shared import Servers


@pytest.fixture
def home(tmp_path: Path) -> AirflowHome:
    """A home of the test's own, not initialised."""
    (tmp_path / "dags").mkdir()
    return AirflowHome(directory=tmp_path / "home", dags=tmp_path / "dags")


# The home


def test_environment_is_closed_against_another_airflow(home: AirflowHome) -> None:
    """What another Airflow left in the environment is dropped, and PYTHONPATH comes through."""
    inherited = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW_CONN_OTHER": "http://elsewhere",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "somewhere",
        "NO_PROXY": "example.org",
    }
    env = environment(home, port=8123, execution_port=8124, inherited=inherited)
    assert env["PYTHONPATH"] == "somewhere"
    assert env["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8124/execution/"
    assert env["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert not {"AIRFLOW_CONN_OTHER", "PYTHONDONTWRITEBYTECODE"} & env.keys()


def test_connections_and_settings_of_the_home(tmp_path: Path) -> None:
    """Connections reach Airflow by its variables, given settings win, and no repr shows a connection."""
    home = AirflowHome(
        directory=tmp_path,
        dags=tmp_path,
        connections={"call_api": "http://user:hidden@127.0.0.1:9"},
        config={"core.parallelism": "1"},
    )
    env = environment(home, inherited={})
    assert env["AIRFLOW_CONN_CALL_API"] == "http://user:hidden@127.0.0.1:9"
    assert env["AIRFLOW__CORE__PARALLELISM"] == "1"
    assert "hidden" not in repr(home)


def test_keys_are_made_once_and_private(home: AirflowHome) -> None:
    """The keys and passwords of a home stay the same, nobody else can read them, and their repr is mute."""
    first = environment(home, inherited={})
    assert environment(home, inherited={}) == first
    keys = load_keys(home.directory)
    assert keys.passwords["admin"] not in repr(keys)
    private = [home.directory / "keys.json", home.directory / "passwords.json"]
    assert [oct(path.stat().st_mode & 0o777) for path in private] == ["0o600", "0o600"]
    assert home.directory.stat().st_mode & 0o077 == 0


def test_a_killed_airflows_heartbeat_does_not_count() -> None:
    """A component is healthy once it has reported after the start, whatever Airflow says of an older report."""
    start = datetime(2026, 11, 22, 12, tzinfo=UTC)
    old, new = (start + timedelta(seconds=seconds) for seconds in (-5, 5))
    health = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": old.isoformat()},
        "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": new.isoformat()},
        "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
    }
    jobs = ["scheduler", "dag-processor", "triggerer"]
    assert unreported(health, jobs, start) == {"scheduler", "triggerer"}


def test_log_line_tells_the_exception() -> None:
    """A log event becomes a line with its own fields; an exception in it becomes further lines."""
    event = {
        "timestamp": "2026-11-22T12:00:00Z",
        "level": "error",
        "event": "Task failed",
        "rows": 3,
        "task_id": "fetch",
        "error_detail": [
            {
                "exc_type": "ValueError",
                "exc_value": "no",
                "frames": [{"filename": "a.py", "lineno": 7, "name": "f"}],
            }
        ],
    }
    assert log_line(event) == "2026-11-22T12:00:00Z error Task failed rows=3\nValueError: no\n  a.py:7 f"


# A single run


@pytest.mark.long
@pytest.mark.airflow
@pytest.mark.slow
def test_single_run(home: AirflowHome) -> None:
    """A DAG runs in one process: 0 for success, not 0 for failure; the home is initialised once."""
    (home.dags / "single.py").write_text(textwrap.dedent(two_tasks("single")))
    day = datetime(2026, 11, 1, tzinfo=UTC)
    ran = run_dag(home, "single", day, {"answer": 43})
    assert ran.exit_code == 0, ran.output
    assert "the answer is 43" in ran.output
    assert not initialise(home)
    assert run_dag(home, "absent", day).exit_code != 0


# One Airflow for the tests of this part


@pytest.mark.airflow
def test_two_tasks_run_to_success(add_dag: AddDag, airflow_client: AirflowClient) -> None:
    """A DAG written to the folder runs by the scheduler; its states, XComs, fields and logs can be read."""
    add_dag("pair", two_tasks("pair"))
    run_id = airflow_client.trigger("pair", conf={"answer": 44})
    run = airflow_client.wait_run("pair", run_id)
    assert run["state"] == "success"
    assert airflow_client.task_states("pair", run_id) == {"answer": "success", "tell": "success"}
    assert airflow_client.xcom("pair", run_id, "answer") == 44
    assert [entry["task_id"] for entry in airflow_client.xcoms("pair", run_id)] == ["answer"]
    assert "the answer is 44" in airflow_client.task_log("pair", run_id, "tell")
    assert airflow_client.rendered_fields("pair", run_id, "tell")["op_args"]


@pytest.mark.long
@pytest.mark.airflow
def test_cleared_tasks_run_again(add_dag: AddDag, airflow_client: AirflowClient) -> None:
    """A cleared task has a second try, one that wasn't cleared has not; a cleared run repeats all."""
    add_dag("again", two_tasks("again"))
    run_id = airflow_client.trigger("again", logical_date=datetime(2026, 11, 2, tzinfo=UTC))
    airflow_client.wait_run("again", run_id)
    cleared = airflow_client.clear_tasks("again", run_id, ["tell"])
    assert [task["task_id"] for task in cleared] == ["tell"]
    assert airflow_client.wait_run("again", run_id)["state"] == "success"
    assert tries(airflow_client, "again", run_id) == {"answer": 1, "tell": 2}
    airflow_client.clear_run("again", run_id)
    airflow_client.wait_run("again", run_id)
    assert tries(airflow_client, "again", run_id) == {"answer": 2, "tell": 3}


@pytest.mark.long
@pytest.mark.airflow
def test_mark_failed_ends_a_running_task(add_dag: AddDag, airflow_client: AirflowClient) -> None:
    """While a task runs its progress and log can be read; marked failed, its process is soon gone."""
    add_dag("slow", slow("slow"))
    run_id = wait_resting(airflow_client, "slow")
    assert airflow_client.task_state("slow", run_id, "rest") == {"progress": {"done": 3}}
    assert "resting" in airflow_client.task_log("slow", run_id, "rest")
    pid = airflow_client.task_instance("slow", run_id, "rest")["pid"]
    with pytest.raises(RunNotFinished, match="'rest': 'running'"):
        airflow_client.wait_run("slow", run_id, timeout_s=0)
    airflow_client.mark("slow", run_id, "rest", "failed")
    assert airflow_client.wait_task("slow", run_id, "rest", states={"failed"})["state"] == "failed"
    assert airflow_client.wait_run("slow", run_id)["state"] == "failed"
    assert remaining([psutil.Process(pid)] if psutil.pid_exists(pid) else [], within_s=60) == []


@pytest.mark.long
@pytest.mark.airflow
def test_backfill(add_dag: AddDag, airflow_client: AirflowClient) -> None:
    """A backfill makes a run for each day, both ends included, and each run ends."""
    add_dag("daily", daily("daily"))
    airflow_client.create_backfill(
        "daily", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC), max_active_runs=3
    )
    assert [backfill["dag_id"] for backfill in airflow_client.backfills("daily")] == ["daily"]
    runs = [run["dag_run_id"] for run in airflow_client.runs("daily") if run["run_type"] == "backfill"]
    ended = [airflow_client.wait_run("daily", run_id) for run_id in runs]
    assert [run["state"] for run in ended] == ["success"] * 3
    assert sorted(airflow_client.xcom("daily", run_id, "day") for run_id in runs) == [
        "2026-03-01",
        "2026-03-02",
        "2026-03-03",
    ]


@pytest.mark.airflow
def test_broken_dag_file(airflow: SharedAirflow, airflow_client: AirflowClient) -> None:
    """A DAG file that can't be imported is reported with its exception, and not waited for."""
    file = airflow.home.dags / "broken.py"
    file.write_text("from airflow.sdk import DAG\nraise LookupError('no such subscriber')\n")
    with pytest.raises(DagImportFailed, match=r"(?s)broken\.py.*no such subscriber"):
        airflow_client.wait_parsed("broken", file=file)
    with pytest.raises(DagNotParsed, match=r"(?s)No DAG absent after 0 s.*broken\.py.*no such subscriber"):
        airflow_client.wait_parsed("absent", timeout_s=0)
    file.unlink()


@pytest.mark.airflow
def test_waiting_ends_with_what_it_waits_for(airflow: SharedAirflow) -> None:
    """Waiting for an Airflow that has lost a component ends at once, with the end of its log."""
    lost = ComponentEnded("scheduler", 1, airflow.site.log("scheduler"))

    def check() -> None:
        raise lost

    client = airflow.site.client(check=check)
    with pytest.raises(ComponentEnded, match=r"scheduler ended with code 1\. The end of"):
        client.wait_parsed("never")
    client.close()


@pytest.mark.airflow
def test_viewer_may_not_trigger(add_dag: AddDag, airflow: SharedAirflow) -> None:
    """The viewer reads; what a viewer may not do is refused with the status and the reason."""
    add_dag("seen", two_tasks("seen"))
    viewer = airflow.client("viewer")
    assert viewer.dag("seen") is not None
    with pytest.raises(RequestRefused, match="403") as refused:
        viewer.trigger("seen")
    assert refused.value.status == 403


# Its end


@pytest.mark.airflow
@pytest.mark.slow
def test_a_component_that_cannot_start_is_shown(home: AirflowHome, servers: Servers) -> None:
    """When a component ends instead of getting healthy the error has the end of its log; nothing runs on."""
    broken = AirflowHome(directory=home.directory, dags=home.dags, config={"core.auth_manager": "no.such.AuthManager"})
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ComponentEnded, match=r"(?s)api-server ended with code \d+.*no\.such") as ended:
        Airflow(copied(broken, servers)).start()
    assert ended.value.exit_code != 0
    new = set(psutil.Process().children(recursive=True)) - before
    # What was running before, such as a browser of other tests, starts processes of its own.
    assert {process for process in new if before.isdisjoint(process.parents())} == set()


OWNER = """
    import sys, time
    from pathlib import Path
    from harness.airflow import Airflow, AirflowHome

    place = Path(sys.argv[1])
    with Airflow(AirflowHome(directory=place / "home", dags=place / "dags")) as airflow:
        print("healthy", flush=True)
        time.sleep(300)
"""


@pytest.fixture
def owner(home: AirflowHome, servers: Servers) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that owns a healthy Airflow."""
    copied(home, servers)
    command = [sys.executable, "-c", textwrap.dedent(OWNER), str(home.dags.parent)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"healthy\n"
        yield process
        process.kill()


@pytest.mark.airflow
@pytest.mark.slow
def test_sigkill_of_the_owner_leaves_no_process(owner: subprocess.Popen[bytes]) -> None:
    """When the process that started Airflow is killed, all of Airflow goes with it."""
    tree = psutil.Process(owner.pid).children(recursive=True)
    assert len(tree) > 6
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert remaining(tree, within_s=60) == []


def test_port_is_taken_from_the_home(home: AirflowHome) -> None:
    """A home with a port keeps it, one without gets a free one at each start."""
    port = free_port()
    fixed = AirflowHome(directory=home.directory, dags=home.dags, port=port)
    assert Airflow(fixed).url == f"http://127.0.0.1:{port}"
    assert Airflow(home).site.port > 0


def test_an_airflow_may_be_below_a_path(home: AirflowHome) -> None:
    """People and tasks find it there."""
    below = replace(home, port=8123, path="/airflow")
    assert Airflow(below).url == "http://127.0.0.1:8123/airflow"
    env = environment(below, port=8123, execution_port=8124)
    assert env["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8123/airflow"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8124/airflow/execution/"


def tries(client: AirflowClient, dag_id: str, run_id: str) -> dict[str, int]:
    """Count the tries of each task."""
    return {task["task_id"]: task["try_number"] for task in client.task_instances(dag_id, run_id)}


def remaining(processes: list[psutil.Process], *, within_s: float) -> list[psutil.Process]:
    """Which of the processes are still there when the time is up."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return list(alive)
