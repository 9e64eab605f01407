"""Transports: what carries one try of one parameter to the API and back."""

from __future__ import annotations

from typing import Protocol

from airflow_fanout.codec import Json
from airflow_fanout.model.outcome import Failure, Kind, Outcome


class Transport(Protocol):
    """Turns a parameter into an outcome; called from many greenlets at once.

    It never raises for what the world does, and it never takes longer than the total timeout.
    """

    def fetch(self, parameter: Json) -> Outcome:
        """Make one try."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether sending the same request twice does no harm."""
        ...


def timed_out(total_s: float, *, outdated: bool = False) -> Outcome:
    """Return the outcome of a try that has used up its total time, in seconds.

    :param outdated: whether it was waiting for newer credentials.
    """
    failure = Failure("TotalTimeout", f"no answer within {total_s:g} s in total")
    return Outcome(Kind.TIMEOUT, failure=failure, outdated=outdated)
