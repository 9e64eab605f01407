"""Several requests for one parameter, one after another: its pages, or a job that is created and asked about.

A driver sends them as it sends all others. After an answer that isn't the last one, the settlement counts the request,
and gives the task back to the work until the next one is due, so that a wait holds no place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from airflow_fanout.api.compiled import Prepared
from airflow_fanout.model.outcome import Outcome


class More(Outcome, frozen=True, gc=False):
    """A good answer after which the parameter has a further request, `wait_s` seconds from now.

    It is no result yet, so its kind is `null`.
    """

    wait_s: float = 0.0


class Steps(Protocol):
    """Where one parameter is in its requests. It belongs to the parameter's task, and lasts over failed attempts."""

    @property
    def is_repeatable(self) -> bool:
        """Whether sending the present request twice does no harm."""
        ...

    def message(self) -> Prepared:
        """Return the present request, with a whole address: the same one until an answer leads to another.

        :raises ValueError: if it can't be sent.
        """
        ...

    def take(self, outcome: Outcome, headers: Mapping[str, str], address: str) -> Outcome:
        """Return what an answer is to the parameter: its outcome, or `More`.

        :param outcome: the answer by itself; its result is the whole body.
        :param headers: its headers; their names in any case.
        :param address: where it came from in the end, redirects followed.
        """
        ...

    def failed(self, outcome: Outcome) -> Outcome:
        """Note how an attempt has failed; return its outcome, which says at which request."""
        ...
