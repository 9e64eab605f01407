"""A transport that follows a script instead of a network: for tests of reports and of the engine itself."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from airflow_fanout.codec import Json
from airflow_fanout.model.outcome import Kind, Outcome


class ScriptedTransport:
    """Answers as a function of the parameter and of how often it was asked for (counted from 1).

    :param answer: gives the outcome; the default is the parameter itself.
    :param latency_s: how long each answer takes, in seconds.
    """

    repeatable = True

    def __init__(self, answer: Callable[[Json, int], Outcome] | None = None, *, latency_s: float = 0.0) -> None:
        self._answer = answer or (lambda parameter, _: Outcome(Kind.OK, result=parameter))
        self._latency_s = latency_s
        self.asked: dict[str, int] = {}
        self.in_flight = 0
        self.most_in_flight = 0

    def fetch(self, parameter: Json) -> Outcome:
        """Answer by the script."""
        name = str(parameter)
        self.asked[name] = self.asked.get(name, 0) + 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            gevent.sleep(self._latency_s)
            return self._answer(parameter, self.asked[name])
        finally:
            self.in_flight -= 1
