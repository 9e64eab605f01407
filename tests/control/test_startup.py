from __future__ import annotations

import pytest

from airflow_fanout.control.startup import BELIEVED_S, PAUSE_S, Startup, cause_of
from airflow_fanout.model.outcome import Cause, Kind, Outcome

OK = Outcome(Kind.OK)
UNKNOWN = Outcome(Kind.CONNECTION_ERROR, cause=Cause.UNKNOWN_HOST)


def status(code: int, **more: float) -> Outcome:
    """Return the outcome of an error's status."""
    return Outcome(Kind.HTTP_ERROR, status=code, **more)  # type: ignore[arg-type] # `retry_after_s` only


def begun(attempts: int = 3) -> Startup:
    """Return the beginning of a fetch."""
    return Startup(attempts, is_answered=False)


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (UNKNOWN, Cause.UNKNOWN_HOST),
        (status(401), Cause.CREDENTIALS),
        (status(403), Cause.FORBIDDEN),
        (status(407), Cause.PROXY_CREDENTIALS),
        (status(403, retry_after_s=5.0), None),
        (status(404), None),
        (status(500), None),
        (Outcome(Kind.CONNECTION_ERROR), None),
        (Outcome(Kind.TIMEOUT), None),
        (Outcome(Kind.NULL, status=403), None),
        (OK, None),
    ],
)
def test_what_no_waiting_cures(outcome: Outcome, cause: Cause | None) -> None:
    """Who is refused without a word of when to come back is refused for good; a server that is down may come back."""
    assert cause_of(outcome) is cause


def test_three_requests_are_enough() -> None:
    """The third that fails of such a cause ends it; the pauses in between become longer."""
    startup = begun()
    pauses = []
    for moment in (0.0, 0.5, 1.5):
        assert not startup.is_hopeless(moment)
        assert startup.add(UNKNOWN, 1.0, moment) is Cause.UNKNOWN_HOST
        pauses.append(startup.pause_s)
    assert pauses == [PAUSE_S, 2 * PAUSE_S, 3 * PAUSE_S]
    assert startup.is_hopeless(1.5)


def test_a_cause_that_takes_its_time_is_believed_sooner() -> None:
    """A name service that takes four seconds for each answer is asked twice."""
    startup = begun()
    startup.add(UNKNOWN, 4000.0, 4.0)
    assert not startup.is_hopeless(4.0)
    startup.add(UNKNOWN, 4000.0, 8.5)
    assert startup.is_hopeless(8.5)
    assert BELIEVED_S < 10


@pytest.mark.parametrize("answer", [OK, Outcome(Kind.NULL), status(404), status(500), Outcome(Kind.INVALID)])
def test_an_answer_ends_the_search(answer: Outcome) -> None:
    """Somebody is there: what fails later may be a parameter's own affair, or pass."""
    startup = begun()
    for _ in range(2):
        startup.add(UNKNOWN, 1.0, 0.0)
    startup.add(answer, 1.0, 1.0)
    assert (startup.is_on, startup.is_held, startup.is_hopeless(99.0)) == (False, False, False)


@pytest.mark.parametrize(
    "outcome", [Outcome(Kind.TIMEOUT), Outcome(Kind.CONNECTION_ERROR), status(503), Outcome(Kind.ERROR)]
)
def test_what_is_no_answer_ends_the_hold_only(outcome: Outcome) -> None:
    """It may be this parameter's, so the others go on; but nobody has answered yet."""
    startup = begun()
    startup.add(outcome, 1.0, 0.0)
    assert (startup.is_on, startup.is_held) == (True, False)


def test_it_can_be_switched_off() -> None:
    """With 0 attempts, or when an earlier try has had answers, nobody looks."""
    for startup in (begun(0), Startup(3, is_answered=True)):
        assert (startup.is_on, startup.is_held, startup.is_hopeless(99.0)) == (False, False, False)
