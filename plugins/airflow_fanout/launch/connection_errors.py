"""What can be wrong with the connections that parameters name, and how a fetch ends of which some were stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError

# More problems than these are counted: the first ones show what is wrong.
MOST_SHOWN = 20


@dataclass(eq=False)
class UnusableName(FanoutError):
    """A parameter that names no connection."""

    text: str
    index: int
    problem: str

    sentence: ClassVar[str] = (
        "Parameter {index} of the list {problem}, and http_conn_id={text!r} takes its connection from there. "
        "Nothing was requested. Give each parameter the id of a connection, or change http_conn_id."
    )


@dataclass(eq=False)
class TooManyConnections(FanoutError):
    """A list whose parameters name more connections than a fetch can have."""

    text: str
    index: int
    most: int

    sentence: ClassVar[str] = (
        "http_conn_id={text!r} names more than {most:,} connections by parameter {index} of the list. Nothing was "
        "requested. Use a field that names the API, not the parameter, or divide the list between several reports."
    )


@dataclass(eq=False)
class BadConnections(FanoutError):
    """Connections that parameters name, and that can't be used; each problem has the place of a parameter."""

    text: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        count = len(self.problems)
        shown = "".join(f"\n  - {problem}" for problem in self.problems[:MOST_SHOWN])
        more = f"\n  and {count - MOST_SHOWN:,} more" if count > MOST_SHOWN else ""
        return (
            f"http_conn_id={self.text!r} names {count:,} connection{'s' if count > 1 else ''} that can't be used. "
            f"Nothing was requested.{shown}{more}\n"
            f"Fix {'them' if count > 1 else 'it'} under Admin > Connections, or take the parameters out of the list; "
            "then clear this task."
        )


@dataclass(eq=False)
class ConnectionsGivenUp(FanoutError):
    """Some of a fetch's connections were given up, while the others came to their end.

    :param errors: what is wrong, by the connection's id.
    :param connections: how many connections there are.
    """

    errors: Mapping[str, str]
    connections: int
    done: int
    total: int
    is_passing: bool

    @property
    def retry(self) -> bool:  # type: ignore[override] # it depends on the causes here
        """Whether trying again later can help."""
        return self.is_passing

    def __str__(self) -> str:
        shown = "".join(f"\n  - {conn_id}: {text}" for conn_id, text in list(self.errors.items())[:MOST_SHOWN])
        more = f"\n  and {len(self.errors) - MOST_SHOWN:,} more" if len(self.errors) > MOST_SHOWN else ""
        return (
            f"{len(self.errors):,} of {self.connections:,} connections were given up. The others are done: "
            f"{self.done:,} of {self.total:,} parameters have their outcomes, and no try requests them again."
            f"{shown}{more}"
        )
