"""What a number of parameters costs extract, validate and load: each in a fresh process, as a task has it.

python -m bench.scale               10,000, 100,000 and 1,000,000 parameters
python -m bench.scale 2000 50000    these numbers
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from airflow_fanout.staging.folder import list_at
from harness.airflow.connections import mongo_connection
from harness.mongod import Mongod

ROOT = Path(__file__).resolve().parent.parent
CLIENT = "airflow-fanout"
NUMBERS = (10_000, 100_000, 1_000_000)
ALL_STEPS = ("extract", "fetch", "validate", "load")
# The fetch here only writes a journal down; the engine has its own cases.
STEPS = ("extract", "validate", "load")
MOMENT = datetime(2026, 11, 22, tzinfo=UTC)
RUN = SimpleNamespace(run_id="scheduled", logical_date=MOMENT, data_interval_start=MOMENT, run_after=MOMENT)
# What the engine does each half second, at a few thousand answers a second.
FLUSH_EVERY = 2000

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a step has cost its process; `start_mb` is the memory that was in use before it began."""

    number: int
    seconds: float
    cpu_s: float
    start_mb: float
    peak_mb: float

    def row(self, case: str, client: str = CLIENT) -> Row:
        """Return a line of the result."""
        return {
            "case": case,
            "client": client,
            "rate_per_s": self.number / self.seconds,
            "cpu_us": 1e6 * self.cpu_s / self.number,
            "peak_mb": self.peak_mb,
            "p50_ms": None,
            "p99_ms": None,
        }


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where a run is staged and loaded."""

    folder: str
    uri: str
    number: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a task of the run."""
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT)]),
            "AIRFLOW_HOME": str(Path(self.folder, "home")),
            "AIRFLOW__FANOUT__STAGING": str(Path(self.folder, "staging")),
            "AIRFLOW_CONN_MONGO_DEFAULT": mongo_connection(self.uri),
        }

    @property
    def reference(self) -> dict[str, str]:
        """What extract has returned: where the list is."""
        [found] = Path(self.folder, "staging").glob("*/*/*/list-0001")
        return {"directory": str(found)}


@contextmanager
def staged(number: int, uri: str) -> Iterator[Stage]:
    """Yield a place for a run of `number` parameters, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="fanout-bench-") as folder:
        yield Stage(folder=folder, uri=uri, number=number)


def measure(numbers: Sequence[int] = NUMBERS, steps: Sequence[str] = STEPS, rounds: int = 3) -> list[Row]:
    """Return the medians of each step at each number."""
    found: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="fanout-bench-") as folder, Mongod.start(Path(folder)) as mongod:
        for _ in range(rounds):
            for number in numbers:
                with staged(number, mongod.uri) as stage:
                    for step, cost in costs(stage, steps):
                        found.setdefault(f"{step} {number:,}", []).append(cost)
    return [medians(costs).row(f"scale: {case}") for case, costs in found.items()]


def costs(stage: Stage, steps: Sequence[str] = STEPS) -> Iterator[tuple[str, Cost]]:
    """Run all steps, one after the other, and yield what those that are asked for have cost."""
    for step in ALL_STEPS:
        cost = cost_of("bench.scale", step, stage)
        if step in steps:
            yield step, cost


def cost_of(module: str, step: str, stage: Stage) -> Cost:
    """Run one step in a process of its own; return what it has cost there."""
    command = [sys.executable, "-m", module, "--step", step, json.dumps(asdict(stage))]
    done = subprocess.run(command, cwd=ROOT, env=stage.environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step} of {stage.number:,} failed:\n{done.stdout}{done.stderr}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def medians(found: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(**{name: median(getattr(cost, name) for cost in found) for name in asdict(found[0])})


# --- within a step's process ----------------------------------------------------------------------------


def timed(number: int, work: Callable[[], object]) -> Cost:
    """Do some work; return what it has cost this process."""
    start_mb, begun, cpu = peak_mb(), time.perf_counter(), time.process_time()
    work()
    seconds, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    return Cost(number=number, seconds=seconds, cpu_s=cpu_s, start_mb=start_mb, peak_mb=peak_mb())


def peak_mb() -> float:
    """Return this process' own peak of resident memory; that of `getrusage` may be its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def subscribers(number: int) -> Iterator[str]:
    """Yield telephone numbers, without any order."""
    # An odd factor and a power of two: each number comes by once before the first one comes again.
    return (f"+1202555{place * 2_654_435_761 % 2**32:010d}" for place in range(number))


def extract(stage: Stage) -> Cost:
    """Freeze the list."""
    from airflow.sdk import DAG

    from airflow_fanout import ExtractOperator

    with DAG("bench", schedule=None) as dag:
        operator = ExtractOperator(task_id="extract", source=lambda: subscribers(stage.number), names=("tel",))
    context: Any = {"dag_run": RUN, "params": {}, "dag": dag}
    return timed(stage.number, lambda: operator.execute(context))


def fetch(stage: Stage) -> Cost:
    """Write the journal that a fetch would leave, without one."""
    from airflow_fanout.model.outcome import Kind, Outcome, Record
    from airflow_fanout.staging.frozen import read_manifest, read_parameters
    from airflow_fanout.staging.journal import JournalWriter

    directory = list_at(stage.reference["directory"])
    generation = directory.shard(0).generation(1)
    chance = random.Random(stage.number)

    def write() -> None:
        journal = JournalWriter(generation.new_try(), list_id=read_manifest(directory).id)
        for index, value in read_parameters(directory, range(stage.number)):
            outcome = Outcome(Kind.OK, result=_calls(chance), status=200)
            journal.append(Record.of(index, value, outcome, 1, chance.uniform(1, 50)))
            if index % FLUSH_EVERY == 0:
                journal.flush()
        journal.close()
        generation.mark_complete({})

    return timed(stage.number, write)


def _calls(chance: random.Random) -> list[dict[str, Any]]:
    return [
        {"to": f"+120255501{chance.randrange(100):02d}", "seconds": chance.randrange(3600), "at": MOMENT.isoformat()}
        for _ in range(chance.randrange(9))
    ]


def validate(stage: Stage) -> Cost:
    """Judge the results as a report without checks of its own does."""
    from airflow_fanout import ValidateOperator

    operator = ValidateOperator(task_id="validate", parameters=stage.reference)
    return timed(stage.number, lambda: operator.execute({}))


def load(stage: Stage) -> Cost:
    """Write the documents by the operator, whose own imports are done before."""
    # What a task's process loads in its first half second is no part of the rate.
    for name in ("airflow.providers.mongo.hooks.mongo", "airflow_fanout.mongo"):
        import_module(name)
    from airflow_fanout import MongoLoadOperator

    operator = MongoLoadOperator(
        task_id="load", parameters=stage.reference, database="bench", collection="calls", key=("tel",)
    )
    task = SimpleNamespace(dag_id="bench", run_id=RUN.run_id, task_id="load", map_index=-1)
    context: Any = {"ti": task, "outlet_events": defaultdict(SimpleNamespace)}
    return timed(stage.number, lambda: operator.execute(context))


def run_step(steps: dict[str, Callable[[Stage], Cost]]) -> None:
    """Do the step that this process was started for, and tell what it has cost."""
    _, step, stage = sys.argv[1:]
    print(json.dumps(asdict(steps[step](Stage(**json.loads(stage))))))


def table(rows: Sequence[Row]) -> str:
    """Return rows as a text."""
    head = f"{'case':32} {'client':16} {'per second':>11} {'CPU µs':>8} {'peak MB':>8}"
    lines = [
        f"{row['case']:32} {row['client']:16} {row['rate_per_s']:11,.0f} {row['cpu_us']:8.2f} {row['peak_mb']:8.1f}"
        for row in rows
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    if "--step" in sys.argv:
        run_step({"extract": extract, "fetch": fetch, "validate": validate, "load": load})
    else:
        print(table(measure([int(number) for number in sys.argv[1:]] or NUMBERS)))
