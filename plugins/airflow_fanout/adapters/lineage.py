"""What a task reads and writes, for OpenLineage: names of data sets, without credentials and without parameters.

The names follow OpenLineage's own rule: the namespace is the scheme and the authority, the name is the path. What
differs from run to run stands in a name as a field in braces, so that a data set is the same for all runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from airflow.sdk import BaseHook

from airflow_fanout.adapters.border import is_storage, list_directory
from airflow_fanout.adapters.connection import endpoint_of
from airflow_fanout.launch.connections import names_connections
from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.reference import Reference

if TYPE_CHECKING:
    from airflow.sdk import XComArg

MONGO_PORT = 27017


class DataSet(NamedTuple):
    """A data set's name, unique in its namespace."""

    namespace: str
    name: str


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """What a task reads and writes.

    :param rows: how many rows it has written; `None` as long as it hasn't.
    """

    inputs: tuple[DataSet, ...] = ()
    outputs: tuple[DataSet, ...] = ()
    rows: int | None = None


def api_resource(http_conn_id: str, endpoint: str) -> DataSet:
    """Return an API's resource: the connection's origin, and the path as the report's author has written it.

    :param endpoint: the path below the connection's address, with its fields and templates; a query is left out.
    """
    base = urlsplit(endpoint_of(http_conn_id).base_url)
    path = f"{base.path}/{endpoint.partition('?')[0].lstrip('/')}"
    return DataSet(f"{base.scheme}://{base.netloc}", path.rstrip("/") or "/")


def frozen_list(report: ReportDirectory) -> DataSet:
    """Return the list of a report's parameters; `report` is its directory in any run."""
    return _staged(report, "parameters")


def journal(report: ReportDirectory) -> DataSet:
    """Return the journal of a report's outcomes; `report` is its directory in any run."""
    return _staged(report, "journal")


def _staged(report: ReportDirectory, what: str) -> DataSet:
    address = f"{report.in_all_runs}/{what}"
    if not is_storage(address):
        return DataSet("file", address)
    scheme, _, path = address.partition("://")
    bucket, _, key = path.partition("/")
    # How it is reached is no part of what it is.
    return DataSet(f"{scheme}://{bucket.rpartition('@')[2]}", key)


def report_of(reference: Reference | XComArg) -> ReportDirectory:
    """Return the directory, in its run, of the report that extract's output refers to."""
    return list_directory(reference).report


def mongo_collection(mongo_conn_id: str, database: str, name: str) -> DataSet:
    """Return a MongoDB collection."""
    connection = BaseHook.get_connection(mongo_conn_id)
    hosts = (connection.host or "").rpartition("@")[2].split(",")
    extra: Mapping[str, Any] = connection.extra_dejson
    if extra.get("srv"):
        # The name service knows the ports.
        return DataSet(f"mongodb+srv://{hosts[0]}", f"{database}.{name}")
    if connection.port:
        # As MongoHook writes the address: behind the last of several hosts.
        hosts[-1] = f"{hosts[-1]}:{connection.port}"
    with_ports = (host if urlsplit(f"//{host}").port else f"{host}:{MONGO_PORT}" for host in hosts)
    return DataSet(f"mongodb://{','.join(with_ports)}", f"{database}.{name}")


def of_fetch(reference: Any, http_conn_id: str, endpoint: str) -> Lineage:
    """Return what a fetch reads, a list and an API's resource, and the journal that it writes.

    If the parameters name their connections, it is the list alone.

    :param reference: the list, or the shard of it, that the fetch takes.
    :param endpoint: the path of the resource, as `api_resource` takes it.
    """
    report = report_of(reference)
    # Which APIs the parameters name is known when the list is read.
    apis = () if names_connections(http_conn_id) else (api_resource(http_conn_id, endpoint),)
    return Lineage(inputs=(frozen_list(report), *apis), outputs=(journal(report),))
