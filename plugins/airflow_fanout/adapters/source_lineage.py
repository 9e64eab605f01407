"""What a source reads, for OpenLineage: names of data sets, as `adapters.lineage` has them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook

from airflow_fanout.adapters.lineage import DataSet, api_resource, mongo_collection
from airflow_fanout.sources.source import Data, QueriedTables, Resource, StoredCollection, StoredFile


def data_sets(data: Data | None) -> tuple[DataSet, ...]:
    """Return the names of what a source reads; none for a source without a name."""
    match data:
        case Resource():
            return (api_resource(*data),)
        case StoredCollection():
            return (mongo_collection(*data),)
        case StoredFile(path):
            return (_file(path),)
        case QueriedTables():
            return _tables(*data)
        case _:
            return ()


def _file(path: str) -> DataSet:
    """Return the name of a file, by OpenLineage's rule: of an object, the bucket is the namespace."""
    parts = urlsplit(path)
    if parts.scheme in ("", "file"):
        return DataSet("file", parts.path)
    # What stands before an "@" is the id of a connection, or a secret.
    return DataSet(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/") or "/")


def _tables(conn_id: str, sql: str) -> tuple[DataSet, ...]:
    """Return the names of the tables that a query reads, as Airflow's own operators for SQL name them."""
    from airflow.providers.openlineage.sqlparser import SQLParser

    connection: Any = BaseHook.get_connection(conn_id)
    hook = connection.get_hook()
    info = hook.get_openlineage_database_info(connection)
    if info is None:
        return ()
    schema = None
    # The database is asked for it; it may be gone by now.
    with suppress(Exception):
        schema = hook.get_openlineage_default_schema()
    parser = SQLParser(dialect=hook.get_openlineage_database_dialect(connection), default_schema=schema)
    tables = parser.parse(sql)
    if not tables:
        return ()
    namespace = parser.create_namespace(info)
    inputs, _ = parser.get_metadata_from_parser(tables.in_tables, [], info, namespace)
    return tuple(DataSet(table.namespace, table.name) for table in inputs)
