"""Everything that the report needs around it: a service, a MongoDB, an Airflow; started together, ended together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.airflow import Airflow, AirflowHome
from harness.airflow.connections import mongo_connection
from harness.mongod import mongo_uri_or_embedded
from harness.service.child import DemoService

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".demo"


@dataclass(frozen=True)
class Stage:
    """What is running."""

    service: DemoService
    mongo_uri: str
    airflow: Airflow


@contextmanager
def stage(*, subscribers: int, latency_ms: float, port: int | None = None, place: Path = PLACE) -> Iterator[Stage]:
    """Start the service, the MongoDB (`MONGO_URI`, else an embedded one) and Airflow; end all of it afterwards."""
    place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        mongo_uri = running.enter_context(mongo_uri_or_embedded(place / "mongo"))
        log = place / "service.log"
        service = running.enter_context(DemoService.start(log=log, subscribers=subscribers, latency_ms=latency_ms))
        home = AirflowHome(
            directory=place / "airflow",
            dags=ROOT / "dags",
            plugins=ROOT / "plugins",
            connections={"call_api": service.url, "mongo_default": mongo_connection(mongo_uri)},
            port=port,
        )
        yield Stage(service, mongo_uri, running.enter_context(Airflow(home, triggerer=True)))
