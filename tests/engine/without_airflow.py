"""The whole way of a report in an interpreter in which Airflow can't be imported: plan, fetch, judge, encode.

Run with the service's address and a folder; prints JSON.
"""

from __future__ import annotations

import json
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.loaded_code import LoadedCode
from airflow_fanout.launch.messages import Ended, Failed
from airflow_fanout.launch.plan import Shard, plan
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.mongo.documents import encoded
from airflow_fanout.mongo.shape import Shape, parameter_and_result
from airflow_fanout.staging.frozen import Manifest, read_manifest
from airflow_fanout.staging.results import Results
from airflow_fanout.validation.checks.max_empty import MaxEmpty
from airflow_fanout.validation.checks.unique import Unique
from airflow_fanout.validation.judge import Demands, Judge, Judgement
from airflow_fanout.validation.rules import Rules
from tests.engine.harness import frozen

COUNT = 1_000


class NoAirflow(MetaPathFinder):
    """An environment in which Airflow isn't installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002 - Python's
        """Refuse to find it."""
        if name.partition(".")[0] == "airflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def fetched(job: Job) -> Progress:
    """Run the engines to their end."""
    last: Ended | Failed | None = None
    with Engines(job) as engines:
        for message in engines.listen():
            if isinstance(message, Ended | Failed):
                last = message
        return progress_at_end(last, engines)


def judged(part: Shard) -> Judgement:
    """Judge the results."""
    demands = Demands(Rules(allow=frozenset(), min_coverage=1.0), (MaxEmpty(0.5), Unique("number")))
    return Judge(part.directory, part.manifest, demands, print).judge()


def documents(part: Shard, manifest: Manifest) -> int:
    """Encode the results, and return how many documents they are."""
    shape = Shape(key=("number",), as_of=manifest.moment, document=parameter_and_result)
    with encoded(Results(part.directory, manifest).records(), shape) as made:
        return made.count


def main(url: str, folder: Path) -> dict[str, Any]:
    """Go the whole way, and return what came of it."""
    directory = frozen(folder, range(COUNT), ("number",))
    manifest = read_manifest(directory)
    part = Shard.of(directory, manifest, None)
    request = Request(endpoint="/{number}")
    code = LoadedCode(path=tuple(sys.path))
    job = plan(part, request, endpoint=Endpoint(base_url=url), settings=FetchSettings(), code=code, refetch=False)
    summary = fetched(job).summary()
    directory.shard(0).generation(job.generation).mark_complete(summary)
    judgement = judged(part)
    return {"kinds": summary["kinds"], "good": judgement.is_good, "documents": documents(part, manifest)}


if __name__ == "__main__":
    assert not [name for name in sys.modules if name.partition(".")[0] == "airflow"]
    sys.meta_path.insert(0, NoAirflow())
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
