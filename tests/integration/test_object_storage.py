"""A report of the shared Airflow whose staging area is in an object storage."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.staging.layout import file_name
from harness.airflow import AirflowClient
from harness.s3 import S3Server
from harness.s3.server import KEY, SECRET
from harness.service import DemoService
from tests.airflow_fixture import SharedAirflow
from tests.integration.engines import engine_of
from tests.integration.own import OwnReports, file_of
from tests.integration.runs import Run
from tests.staging.objects import new_prefix

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

COUNT = 300


@pytest.mark.long
def test_a_report_is_staged_in_an_object_storage(
    client: AirflowClient,
    airflow: SharedAirflow,
    own_reports: OwnReports,
    service: DemoService,
    s3: S3Server,
    loaded: Database[dict[str, Any]],
) -> None:
    """By an Airflow connection, in three shards; one whose engine was killed goes on with what it had put up.

    Nothing of it is in the folder of the other reports, and nobody sees the connection's secret.
    """
    own_reports.connect("s3_staging", "aws", s3.port, json.dumps(s3.extra), login=KEY, password=SECRET)
    staging = f"s3://{own_reports.name('s3_staging')}@staging/{new_prefix()}"
    dag_id = own_reports.name("slice_sharded")
    # The shared Airflow has another staging area: each process that runs this file has this one.
    setting = f'import os\nos.environ["AIRFLOW__FANOUT__STAGING"] = "{staging}"\n'
    head, _, rest = file_of("slice_sharded").read_text().partition("from __future__ import annotations\n")
    own = rest.replace('report("slice', f'report("{own_reports.name("s3")}_slice').replace(
        f'"{own_reports.name("s3")}_slice_sharded"', f'"{dag_id}"'
    )
    own_reports.add(dag_id, f"{head}from __future__ import annotations\n{setting}{own}")

    service.set_faults(latency_ms=800)
    run = Run.trigger(client, dag_id, {"first": 0, "count": COUNT})
    run.fetching(20, map_index=1)
    engine_of(run, 1).send_signal(signal.SIGKILL)
    run.succeeded()
    assert run.returned("extract")[0]["directory"].startswith(f"{staging}/{file_name(dag_id)}/")
    assert [run.tries("fetch", index) for index in range(3)] == [1, 2, 1]
    assert run.returned("fetch", 1)["resumed"] >= 20
    assert run.returned("validate")["parameters"] == run.returned("load")["documents"] == COUNT
    assert loaded[dag_id].count_documents({}) == COUNT
    assert not (airflow.home.directory / "fanout" / file_name(dag_id)).exists()
    logs = [run.log("extract"), *(run.log("fetch", index) for index in range(3)), run.log("validate"), run.log("load")]
    assert [log for log in logs if SECRET in log] == []
