"""Which connections the parameters of a list name: known before the first request."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.template import Template
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadConnection, FanoutError
from airflow_fanout.launch.connection_errors import TooManyConnections, UnusableName
from airflow_fanout.launch.job import NONE_YET, Connected, Job
from airflow_fanout.launch.limits import check_files
from airflow_fanout.masking import mask
from airflow_fanout.model import parameter

# More are a mistake, such as a field that differs for each parameter; each costs a look into Airflow, and a throttle.
MOST_CONNECTIONS = 1_000
# What Airflow takes for an id of a connection.
_ID = re.compile(r"[\w#!()\-.:/\\]{1,200}")


def names_connections(http_conn_id: str) -> bool:
    """Return whether the parameters name their connections, by a text such as `shop_{shop}`."""
    return "{" in http_conn_id


class ConnectionName:
    """A text such as `shop_{shop}`, which gives the id of a parameter's connection.

    :raises BadTemplate: if it can't be read.
    """

    def __init__(self, text: str) -> None:
        self._template = Template(text)
        self._fill = self._template.filler(_written)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that each parameter must have."""
        return self._template.fields

    def of(self, value: Json) -> str:
        """Return the id of a parameter's connection.

        :raises ValueError: if it has none, with a clause that says why, and shows no value.
        """
        values = parameter.fields(value)
        for name in self.fields:
            if name not in values:
                raise ValueError(f"has no field {name!r}")
            if isinstance(values[name], bool) or not isinstance(values[name], str | int):
                # A parameter's value, not an argument's type.
                raise ValueError(f"has a field {name!r} that is neither a text nor a whole number")  # noqa: TRY004
        conn_id = self._fill(values)
        if not _ID.fullmatch(conn_id):
            raise ValueError(f"gives {self.shown(value)!r}, which can't be the id of a connection")
        return conn_id

    def shown(self, value: Json) -> str:
        """Return the id as a message may show it: a field's value may be somebody's number."""
        return self._template.filler(mask)(parameter.fields(value))


def _written(value: Json) -> str:
    return str(value)


class Named(msgspec.Struct, frozen=True):
    """A connection that a list names.

    :param index: that of the first parameter that names it.
    :param shown: its id as a message may show it while nobody knows whether there is such a connection.
    """

    index: int
    shown: str


def connections_of(parameters: Iterable[tuple[int, Json]], text: str) -> dict[str, Named]:
    """Return the connections that parameters name, by their ids, in the list's order.

    :param parameters: each with its index in the list.
    :param text: what gives a parameter's connection.
    :raises UnusableName: for a parameter that names none.
    :raises TooManyConnections: if there are more than `MOST_CONNECTIONS`.
    """
    name = ConnectionName(text)
    named: dict[str, Named] = {}
    for index, value in parameters:
        try:
            conn_id = name.of(value)
        except ValueError as error:
            raise UnusableName(text, index, str(error)) from None
        if conn_id not in named:
            named[conn_id] = Named(index, name.shown(value))
            if len(named) > MOST_CONNECTIONS:
                raise TooManyConnections(text, index, MOST_CONNECTIONS)
    return named


def connected_by(job: Job, text: str, endpoints: Mapping[str, Endpoint]) -> Job:
    """Return a job whose requests go where their parameters say; the credentials are still to be got.

    :param text: what gives a parameter's connection.
    :param endpoints: the connections as they were read, by their ids.
    :raises TooFewFiles: if the limit on open files is too low for them.
    """
    check_files(job.settings.concurrency, resource.getrlimit(resource.RLIMIT_NOFILE)[1], len(endpoints))
    connections = {conn_id: Connected(endpoint=endpoint, terms=NONE_YET) for conn_id, endpoint in endpoints.items()}
    return replace(job, connection_text=text, connections=connections)


def problem_of(error: FanoutError, conn_id: str, index: int, shown: str) -> str:
    """Return what is wrong with a connection, with the place of a parameter that names it.

    :param shown: the id as a message may show it, as long as there is no such connection: it is made of a parameter.
    """
    if isinstance(error, BadConnection) and error.is_missing:
        return f"parameter {index}: there is no connection {shown!r} (the rest of the id isn't shown)"
    return f"parameter {index}, connection {conn_id!r}: {error}"
