"""One run of a load: what validate has passed goes into the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_fanout.adapters.border import airflow_errors
from airflow_fanout.adapters.bound import resolved
from airflow_fanout.adapters.load_task import Destination, Documents, LoadTask
from airflow_fanout.adapters.noting import noted

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_fanout.operators.load import MongoLoadOperator


def run_load(load: MongoLoadOperator, context: Context) -> dict[str, Any]:
    """Load the results, and return the counts, which the events of the collection's asset carry, too."""
    with noted(context), airflow_errors():
        load.document = resolved(load.document, context)
        to = Destination(load.mongo_conn_id, load.database, load.collection, load.mode)
        documents = Documents(load.key, load.as_of_field, load.document, load.types)
        summary = LoadTask(load, context).load(
            load.parameters, to, documents, timeout_s=load.timeout_s, keep_days=load.keep_days
        )
        context["outlet_events"][load.asset].extra = summary
        return summary
