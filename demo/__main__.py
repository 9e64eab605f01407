"""`make demo` and `make ui`: the daily report, run for real."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from datetime import datetime
from typing import Any

from pymongo import MongoClient
from rich.console import Console

from demo.follow import TASKS, Moment, moments, start_daily_run
from demo.show import tasks_table, watch
from demo.stage import Stage, stage
from harness.airflow import AirflowClient

DAG = "daily_call_report"
console = Console()


def main() -> int:
    """Run the report; with `--ui`, stay afterwards."""
    options = _options()
    begun = time.monotonic()
    # Both end it in good order, so that everything which was started is ended, too; a shell that starts it in the
    # background has told it to ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    console.print("Starting the service, MongoDB and Airflow …")
    try:
        with stage(subscribers=options.subscribers, latency_ms=options.latency_ms, port=options.port) as running:
            code = _report(running, options.subscribers, begun)
            if options.ui:
                _stay(running)
            return code
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 0 if options.ui else 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="The daily report over a service of the demo's own."
    )
    parser.add_argument("--ui", action="store_true", help="stay, with Airflow's UI, until interrupted")
    parser.add_argument("--port", type=int, help="the UI's port (default: a free one)")
    parser.add_argument("--subscribers", type=int, default=2000, help="how many parameters (default: %(default)s)")
    parser.add_argument("--latency-ms", type=float, default=50.0, help="the service's latency (default: %(default)s)")
    return parser.parse_args()


def _report(running: Stage, subscribers: int, begun: float) -> int:
    client = running.airflow.client()
    run_id = start_daily_run(client, DAG)
    console.print(f"{DAG} runs by the scheduler: {run_id}")
    end = watch(console, moments(client, DAG, run_id), subscribers)
    returned = {name: client.xcom(DAG, run_id, name) for name in TASKS if _succeeded(end, name)}
    console.print(tasks_table(end, returned))
    if end.state != "success":
        return _explain(client, run_id, end)
    documents = _documents(running.mongo_uri, returned["load"])
    _say_result(returned, documents, time.monotonic() - begun)
    return 0


def _succeeded(end: Moment, name: str) -> bool:
    return end.tasks.get(name, {}).get("state") == "success"


def _documents(uri: str, loaded: dict[str, Any]) -> int:
    database, collection = loaded["collection"].split(".", 1)
    with MongoClient[dict[str, Any]](uri) as mongo:
        found = mongo[database][collection]
        console.print("Two of its documents:")
        for document in found.find({"as_of": datetime.fromisoformat(loaded["as_of"])}, {"_id": 0}).limit(2):
            print(f"  {json.dumps(document, default=str)}")
        return found.count_documents({"as_of": datetime.fromisoformat(loaded["as_of"])})


def _say_result(returned: dict[str, dict[str, Any]], documents: int, total_seconds: float) -> None:
    fetched = returned["fetch"]
    result = {
        "parameters": returned["extract"]["parameters"],
        "ok": fetched["ok"],
        "documents": documents,
        "fetch_seconds": fetched["seconds"],
        "total_seconds": round(total_seconds, 1),
    }
    print(json.dumps(result), flush=True)


def _explain(client: AirflowClient, run_id: str, end: Moment) -> int:
    for name in TASKS:
        if end.tasks.get(name, {}).get("state") == "failed":
            console.print(f"The log of {name} ends with:")
            console.print("\n".join(client.task_log(DAG, run_id, name).splitlines()[-30:]), markup=False)
    return 1


def _stay(running: Stage) -> None:
    console.print(f"Airflow: {running.airflow.url}")
    for user, password in running.airflow.logins.items():
        console.print(f"  log in as {user} with the password {password}", highlight=False)
    console.print("Ctrl-C ends it.")
    while True:
        running.airflow.check()
        time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
