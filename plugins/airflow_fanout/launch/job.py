"""What the parent tells the engine to do: the first message over its pipe, secrets included."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

import msgspec
from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.model.settings import FetchSettings


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long an engine may use the credentials that it has, by the monotonic clock, which all processes share.

    :param renewal: the number of the renewal that they come from, counted from 1.
    :param ends_at_s: when they are good no longer; `None` if that shows only when they are refused.
    :param trusted_until_s: until then, a 401 says something of its request only, and nothing of the credentials.
    """

    renewal: int
    ends_at_s: float | None
    trusted_until_s: float


# Of credentials that are still to be got: nothing is sent with these.
NONE_YET = Terms(renewal=0, ends_at_s=0.0, trusted_until_s=0.0)


class Connected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several connections of a fetch.

    :param endpoint: where its requests go.
    :param terms: for how long the endpoint's credentials are good; those that ended long ago are still to be got.
    """

    endpoint: Endpoint
    terms: Terms


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fetch of a range of a frozen list into a generation's journal.

    :param directory: the address of the list's directory.
    :param start: the first index.
    :param stop: the index after the last.
    :param shard: the shard's number.
    :param generation: the number of the generation to write.
    :param endpoint: where the requests go; if the parameters name their connections, one of those.
    :param terms: for how long the endpoint's credentials are good; `None` if nobody renews them.
    :param request: a declarative request without its functions, or
    :param function: the author's function, pickled.
    :param request_functions: the request's fields that are functions, pickled, by their names.
    :param hidden: what else may stand in no message, besides the endpoint's secrets.
    :param sign: the function that signs each request, pickled.
    :param settings: how to fetch.
    :param budget: the name of the request budget whose slots the engine sends in; `None` if there is none.
    :param path: the parent's `sys.path`, so that the function's modules are found.
    :param digests: the SHA-256 of the files of the modules that the parent has loaded, by their names.
    :param attempt: the number of the try that this is a part of; the engine begins one of its own if not given.
    :param process: the number of this engine among those of its try, which take every nth parameter each.
    :param processes: how many engines these are.
    :param previous: the address of the list of the report's last good run, for a conditional request.
    :param part_age_s: after how long a part of the journal is closed, and marked so for the parent, which sends it on;
        `None` if the parts stay where they are.
    :param connection_text: what gives the id of a parameter's connection, such as `{shop}`; empty if all have the same.
    :param connections: the connections that the parameters name, by their ids.
    :param fatal: the indexes of parameters whose calls have ended earlier engines of this try, each with the message
        of its outcome, `error`: the engine goes on where these have ended.
    """

    directory: str
    start: int
    stop: int
    shard: int
    generation: int
    endpoint: Endpoint
    terms: Terms | None = None
    request: Request | None
    function: bytes | None
    settings: FetchSettings
    budget: str | None = None
    path: tuple[str, ...]
    digests: Mapping[str, str] = {}
    request_functions: Mapping[str, bytes] = {}
    hidden: tuple[str, ...] = ()
    sign: bytes | None = None
    attempt: int | None = None
    process: int = 0
    processes: int = 1
    previous: str | None = None
    part_age_s: float | None = None
    connection_text: str = ""
    connections: Mapping[str, Connected] = {}
    fatal: tuple[tuple[int, str], ...] = ()

    def __repr__(self) -> str:
        name = PurePath(self.directory).name
        return f"Job({name}[{self.start}:{self.stop}], shard {self.shard}, generation {self.generation})"

    @property
    def has_functions(self) -> bool:
        """Whether the engine runs functions of the author's."""
        return self.function is not None or self.sign is not None or bool(self.request_functions)

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """Where the requests go, by the ids of the connections; there is one without an id if all go there."""
        if not self.connections:
            return {"": self.endpoint}
        return {conn_id: connected.endpoint for conn_id, connected in self.connections.items()}

    @property
    def indexes(self) -> range:
        """The indexes to fetch."""
        return range(self.start + self.process, self.stop, self.processes)

    def split(self, attempt: int) -> list[Job]:
        """Return the job of each engine of a try; each takes every nth parameter and its share of all limits."""
        processes = self.settings.processes or 1
        return [
            replace(
                self,
                attempt=attempt,
                process=number,
                processes=processes,
                settings=self.settings.share(number, processes),
            )
            for number in range(processes)
        ]
