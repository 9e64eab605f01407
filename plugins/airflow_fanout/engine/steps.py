"""Several requests for one parameter, one after another: its pages, or a job that is created and asked about.

A driver sends them as it sends all others. After an answer that isn't the last one, the settlement counts the request,
and gives the task back to the work until the next one is due, so that a wait holds no place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from airflow_fanout.api.compiled import Prepared
from airflow_fanout.model.outcome import Outcome


class RawAnswer(NamedTuple):
    """An answer that nobody has read: which of a parameter's requests it belongs to says what it means.

    :param body: decompressed.
    :param headers: their names in any case.
    """

    status: int
    reason: str
    body: bytes
    headers: Mapping[str, str]


class More(Outcome, frozen=True, gc=False):
    """A good answer after which the parameter has a further request, `wait_s` seconds from now.

    It is no result yet, so its kind is `null`. With `ends`, there is no further request: the parameter ends with that
    outcome, which says nothing of the server.
    """

    wait_s: float = 0.0
    ends: Outcome | None = None


class Elsewhere(ValueError):
    """A request goes to another origin than the connection's."""


class Steps(Protocol):
    """Where one parameter is in its requests. It belongs to the parameter's task, and lasts over failed attempts."""

    @property
    def is_repeatable(self) -> bool:
        """Whether sending the present request twice does no harm."""
        ...

    @property
    def is_elsewhere(self) -> bool:
        """Whether the present request goes to another origin than the connection's, without its credentials."""
        ...

    def message(self) -> Prepared:
        """Return the present request, with a whole address: the same one until an answer leads to another.

        :raises ValueError: if it can't be sent.
        """
        ...

    def take(self, answer: RawAnswer, address: str) -> Outcome:
        """Return what an answer is to the parameter: its outcome, or `More`.

        :param address: where it came from in the end, redirects followed.
        """
        ...

    def failed(self, outcome: Outcome) -> Outcome:
        """Note how an attempt has failed; return its outcome, which says at which request."""
        ...
