"""The APIs of a fetch: that of one Airflow connection, or those that the parameters name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from airflow_fanout.adapters.budget import check_without_budget
from airflow_fanout.adapters.logging_in import login_of
from airflow_fanout.adapters.login import check_signed
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.login import ApiLogin
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.connection_errors import BadConnections
from airflow_fanout.launch.connections import connected_by, connections_of, names_connections, problem_of
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.plan import Shard
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.staging.frozen import read_parameters


class OneApi(msgspec.Struct, frozen=True):
    """The API of one connection."""

    login: ApiLogin
    endpoint: Endpoint
    logins: None = None

    def __str__(self) -> str:
        return self.endpoint.base_url

    def settings(self, settings: FetchSettings) -> FetchSettings:
        """Return how to fetch."""
        return settings

    def connected(self, job: Job) -> Job:
        """Return the job, which has its endpoint."""
        return job


class NamedApis(msgspec.Struct, frozen=True):
    """The APIs of the connections that the parameters name."""

    text: str
    logins: Mapping[str, ApiLogin]
    login: None = None

    def __str__(self) -> str:
        return f"{len(self.logins):,} connections, by {self.text!r}"

    @property
    def endpoint(self) -> Endpoint:
        """One of the endpoints, for what is the same for all."""
        return next((login.connection for login in self.logins.values()), Endpoint(base_url="http://localhost"))

    def settings(self, settings: FetchSettings) -> FetchSettings:
        """Return how to fetch: by one engine, which alone knows what each API takes."""
        return replace(settings, processes=1)

    def connected(self, job: Job) -> Job:
        """Return the job with the connections."""
        endpoints = {conn_id: login.connection for conn_id, login in self.logins.items()}
        return connected_by(job, self.text, endpoints) if endpoints else job


def logins_of(
    http_conn_id: str, part: Shard, *, note: Callable[[str], None], limit_s: float, sign: object
) -> OneApi | NamedApis:
    """Return how to log in to the API of a connection, or to those that the parameters of a list name.

    :param note: takes a sentence for the log.
    :param limit_s: for how long a token endpoint may give no token, in seconds.
    :param sign: the function that signs the requests; `None` if none does.
    :raises BadConnection: if the one connection can't be used.
    :raises UnusableName: for a parameter that names no connection.
    :raises BadConnections: with all connections that can't be used, and a parameter of each.
    """
    if not names_connections(http_conn_id):
        login = login_of(http_conn_id, note=note, limit_s=limit_s)
        # Of an empty list nothing is requested.
        endpoint = login.current.endpoint if part.indexes else login.connection
        check_signed(http_conn_id, endpoint, sign)
        return OneApi(login, endpoint)
    logins, problems = {}, []
    for conn_id, named in connections_of(read_parameters(part.directory, part.indexes), http_conn_id).items():
        try:
            logins[conn_id] = login_of(conn_id, note=note, limit_s=limit_s)
            check_signed(conn_id, logins[conn_id].connection, sign)
            check_without_budget(conn_id)
        except FanoutError as error:
            problems.append(problem_of(error, conn_id, named.index, named.shown))
    if problems:
        raise BadConnections(http_conn_id, tuple(problems))
    return NamedApis(http_conn_id, logins)
