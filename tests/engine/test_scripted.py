from __future__ import annotations

import gevent
import pytest

from airflow_fanout.engine.transport.scripted import ScriptedTransport
from airflow_fanout.model.outcome import Kind, Outcome


def test_default_answer_is_the_parameter() -> None:
    """Without a script every parameter is its own result."""
    assert ScriptedTransport().fetch({"tel": "7"}) == Outcome(Kind.OK, result={"tel": "7"})


def test_script_sees_how_often_it_was_asked() -> None:
    """The script gets the parameter and the number of the attempt, each parameter counted for itself."""
    transport = ScriptedTransport(lambda parameter, time: Outcome(Kind.OK, result=[parameter, time]))
    asked = [transport.fetch(parameter).result for parameter in ("a", "b", "a")]
    assert asked == [["a", 1], ["b", 1], ["a", 2]]
    assert transport.asked == {"a": 2, "b": 1}


def test_requests_in_flight_are_counted() -> None:
    """The most requests at once are remembered; one whose script fails is in flight no longer."""

    def fail(_: object, __: int) -> Outcome:
        raise ValueError("as the script says")

    transport = ScriptedTransport(latency_s=0.01)
    gevent.joinall([gevent.spawn(transport.fetch, name) for name in "abc"])
    failing = ScriptedTransport(fail)
    with pytest.raises(ValueError, match="as the script says"):
        failing.fetch("a")
    assert (transport.most_in_flight, transport.in_flight, failing.in_flight) == (3, 0, 0)
