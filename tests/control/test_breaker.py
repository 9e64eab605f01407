from __future__ import annotations

import pytest

from airflow_fanout.control.breaker import (
    FIRST_FAILURES,
    LONGEST_PROBE_S,
    PROBE_S,
    UNLIMITED,
    CircuitBreaker,
    OutageDetector,
    OutageEnd,
    Trip,
    is_down,
)
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import Breaker

OK = Outcome(Kind.OK)
UNAUTHORIZED = Outcome(Kind.HTTP_ERROR, status=401)
REFUSED = Outcome(Kind.CONNECTION_ERROR)


def status(code: int) -> Outcome:
    """Return the outcome of an error's status."""
    return Outcome(Kind.HTTP_ERROR, status=code)


def tripped(fuse: CircuitBreaker, *outcomes: Outcome) -> Trip | None:
    """Count outcomes; return what the first of them that trips says."""
    return next((found for outcome in outcomes if (found := fuse.add(outcome))), None)


class Server:
    """A server as an outage sees it: attempts that end at the times that a test tells."""

    def __init__(self, longest_s: float = 300.0) -> None:
        self.outage = OutageDetector(longest_s)
        self.pauses: list[float] = []

    def gives(
        self, outcome: Outcome, *, times: int = 1, attempt: int = 1, ms: float = 1.0, at: float = 0.0
    ) -> OutageEnd | None:
        """Let attempts end; return whether the last of them ended an outage."""
        over = None
        for _ in range(times):
            if is_down(outcome):
                self.pauses += filter(None, [self.outage.fail(outcome, attempt=attempt, ms=ms, now_s=at)])
            else:
                over = self.outage.answer(at, ms)
        return over


def down(at: float = 0.0, longest_s: float = 300.0) -> Server:
    """Return a server that has just gone."""
    server = Server(longest_s)
    server.gives(REFUSED, times=FIRST_FAILURES, at=at)
    return server


def test_nothing_goes_beyond_the_canary_before_it_has_ended() -> None:
    """After the first five have begun, the sixth waits until all five have ended."""
    fuse = CircuitBreaker(Breaker(canary=5))
    assert [fuse.room(begun) > 0 for begun in range(7)] == [True] * 5 + [False] * 2
    assert fuse.room(3) == 2
    for _ in range(4):
        fuse.add(OK)
        assert fuse.room(5) <= 0
    fuse.add(OK)
    assert fuse.room(5) == UNLIMITED


def test_without_a_canary_nothing_is_held_back() -> None:
    """A canary of 0 is none."""
    fuse = CircuitBreaker(Breaker(canary=0))
    assert {fuse.room(begun) for begun in range(100)} == {UNLIMITED}


def test_wrong_credentials_cost_the_canary() -> None:
    """When all of the canary fail, the run is stopped with the number, the status, and no hope of another time."""
    fuse = CircuitBreaker(Breaker(canary=50))
    assert tripped(fuse, *[UNAUTHORIZED] * 49) is None
    assert fuse.add(UNAUTHORIZED) == Trip(50, 50, Kind.HTTP_ERROR, 401, 50, transient=False)


def test_the_most_frequent_cause_is_named() -> None:
    """Of several causes the most frequent one is told; all failures count."""
    fuse = CircuitBreaker(Breaker(canary=10))
    found = tripped(fuse, *[OK] * 2, *[status(500)] * 3, *[UNAUTHORIZED] * 4, Outcome(Kind.INVALID))
    assert found == Trip(10, 8, Kind.HTTP_ERROR, 401, 4, transient=False)


def test_after_the_canary_the_share_counts_from_the_sample_on() -> None:
    """Between canary and sample nothing trips; from the sample on, the first outcome beyond the share does."""
    fuse = CircuitBreaker(Breaker(canary=10, min_sample=100, max_failures=0.5))
    assert tripped(fuse, *[OK] * 10, *[UNAUTHORIZED] * 89) is None
    assert fuse.add(OK) == Trip(100, 89, Kind.HTTP_ERROR, 401, 89, transient=False)
    late = CircuitBreaker(Breaker(canary=0, min_sample=100, max_failures=0.5))
    assert tripped(late, *[OK] * 100, *[UNAUTHORIZED] * 100) is None
    assert late.add(UNAUTHORIZED) == Trip(201, 101, Kind.HTTP_ERROR, 401, 101, transient=False)


@pytest.mark.parametrize(("max_failures", "trips"), [(0.0, True), (0.19, True), (0.2, False), (1.0, False)])
def test_the_share_is_the_authors(max_failures: float, trips: bool) -> None:
    """Two failures in ten are too many for a limit below a fifth; 1 never stops a run."""
    fuse = CircuitBreaker(Breaker(canary=10, max_failures=max_failures))
    assert (tripped(fuse, *[OK] * 8, *[UNAUTHORIZED] * 2) is not None) is trips


def test_a_missing_result_is_no_failure() -> None:
    """A null is an answer: what it means is validate's to say."""
    assert tripped(CircuitBreaker(Breaker(canary=10, max_failures=0.0)), *[Outcome(Kind.NULL)] * 300) is None


@pytest.mark.parametrize(
    ("outcome", "transient"),
    [
        (Outcome(Kind.TIMEOUT), True),
        (Outcome(Kind.CONNECTION_ERROR), True),
        (status(408), True),
        (status(425), True),
        (status(500), True),
        (status(502), True),
        (status(504), True),
        (status(503), True),
        (status(429), True),
        (status(401), False),
        (status(404), False),
        (status(501), False),
        (Outcome(Kind.INVALID, status=200), False),
        (Outcome(Kind.ERROR), False),
    ],
)
def test_what_may_be_another_time_is_told(outcome: Outcome, transient: bool) -> None:
    """A server in trouble may be well later; wrong credentials and an author's error stay what they are."""
    found = tripped(CircuitBreaker(Breaker(canary=3)), *[outcome] * 3)
    assert found is not None
    assert found.transient is transient


def test_ten_first_attempts_without_any_answer_are_an_outage() -> None:
    """The tenth in a row begins it, with a pause for everybody."""
    server = Server()
    server.gives(REFUSED, times=9)
    assert (server.outage.is_on, server.pauses) == (False, [])
    server.gives(REFUSED)
    assert (server.outage.is_on, server.pauses) == (True, [PROBE_S])


@pytest.mark.parametrize("outcome", [OK, Outcome(Kind.NULL), status(500), status(401), status(429)])
def test_any_answer_is_one(outcome: Outcome) -> None:
    """A row is broken by whatever shows that somebody is there, also by an error's status."""
    server = Server()
    for _ in range(20):
        server.gives(REFUSED, times=FIRST_FAILURES - 1)
        server.gives(outcome)
    assert not server.outage.is_on


@pytest.mark.parametrize("outcome", [Outcome(Kind.TIMEOUT), REFUSED, status(502), status(503), status(504)])
def test_what_a_server_that_is_gone_looks_like(outcome: Outcome) -> None:
    """No answer at all, or a gateway's word that there is none."""
    server = Server()
    server.gives(outcome, times=FIRST_FAILURES)
    assert server.outage.is_on


def test_probes_become_rarer_up_to_five_seconds() -> None:
    """Each probe that fails doubles the pause, to five seconds at the most."""
    server = down()
    for second in range(1, 7):
        server.gives(REFUSED, at=float(second))
    assert server.pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert LONGEST_PROBE_S == 5.0


def test_what_was_under_way_at_the_beginning_is_no_probe() -> None:
    """A hundred requests that break off together with the first ten don't make the pauses longer."""
    server = down(at=10.0)
    server.gives(REFUSED, times=90, ms=200.0, at=10.01)
    server.gives(REFUSED, ms=5.0, at=10.6)
    assert server.pauses == [0.5, 1.0]


def test_the_first_answer_ends_it() -> None:
    """It ends once, and the next one begins with a row of ten and short pauses again."""
    server = down()
    server.gives(REFUSED, times=3, at=1.0)
    assert server.gives(OK, at=2.0) is OutageEnd.BACK
    assert server.gives(OK, at=2.1) is None
    server.gives(REFUSED, times=FIRST_FAILURES - 1, at=3.0)
    assert not server.outage.is_on
    server.gives(REFUSED, at=3.0)
    assert server.pauses[-1] == PROBE_S


def test_hopeless_parameters_between_good_ones_are_no_outage() -> None:
    """A quarter that never answers is their own failure, as long as others do."""
    server = Server()
    for _ in range(100):
        server.gives(Outcome(Kind.TIMEOUT), times=3)
        server.gives(OK)
    assert not server.outage.is_on


def test_retries_of_hopeless_ones_at_the_end_are_no_outage() -> None:
    """When only hopeless ones are left, their further attempts say nothing of the server."""
    server = Server()
    server.gives(OK)
    for attempt in range(2, 6):
        server.gives(Outcome(Kind.TIMEOUT), times=50, attempt=attempt, at=10.0 * attempt)
    assert not server.outage.is_on
    server.gives(Outcome(Kind.TIMEOUT), times=FIRST_FAILURES, at=60.0)
    assert server.outage.is_on


def test_what_was_lost_long_ago_is_no_outage() -> None:
    """Requests that were lost together time out together: that others were answered meanwhile counts for more."""
    server = Server()
    server.gives(OK, at=59.9)
    server.gives(Outcome(Kind.TIMEOUT), times=50, ms=60_000.0, at=60.0)
    assert not server.outage.is_on
    server.gives(OK, at=61.0)
    server.gives(Outcome(Kind.TIMEOUT), times=FIRST_FAILURES, ms=60_000.0, at=120.9)
    assert server.outage.is_on


def test_a_request_from_before_it_that_is_answered_tells_how_it_ended() -> None:
    """Only an answer to a request that was sent in the outage shows that the server has come back."""
    server = down(at=10.0)
    assert server.gives(OK, at=10.5, ms=600.0) is OutageEnd.PARTIAL
    server.gives(REFUSED, times=FIRST_FAILURES, at=20.0)
    assert server.gives(OK, at=20.5, ms=400.0) is OutageEnd.BACK


@pytest.mark.parametrize(("ms", "ends"), [(499.6, OutageEnd.BACK), (500.0, OutageEnd.BACK), (500.4, OutageEnd.PARTIAL)])
def test_a_request_that_was_sent_as_it_began_is_one_of_it(ms: float, ends: OutageEnd) -> None:
    """To the millisecond: what was sent at its beginning or later shows that the server has come back."""
    assert down(at=10.0).gives(OK, at=10.5, ms=ms) is ends


@pytest.mark.parametrize(("ms", "pauses"), [(499.6, [0.5, 1.0]), (500.0, [0.5, 1.0]), (500.4, [0.5])])
def test_a_request_that_was_sent_as_it_began_is_a_probe(ms: float, pauses: list[float]) -> None:
    """One that was sent before it says nothing new, and makes no pause longer."""
    server = down(at=10.0)
    server.gives(REFUSED, at=10.5, ms=ms)
    assert server.pauses == pauses


@pytest.mark.parametrize(("ms", "is_on"), [(999.8, True), (1000.0, True), (1000.2, False)])
def test_a_request_counts_if_nobody_was_answered_in_the_second_half_of_its_wait(ms: float, is_on: bool) -> None:
    """An answer at 10 s says more than one that has waited since before 9.5 s and ends at 10.5 s."""
    server = Server()
    server.gives(OK, at=10.0)
    server.gives(REFUSED, times=10, at=10.5, ms=ms)
    assert server.outage.is_on is is_on


def test_a_server_that_says_what_it_has_not_processed_is_there() -> None:
    """It breaks off connections in good order, which is no outage."""
    assert not is_down(Outcome(Kind.CONNECTION_ERROR, unprocessed=True))


def test_an_outage_may_last_too_long() -> None:
    """It is given up after the author's seconds, counted from its beginning, not from the run's."""
    server = down(at=100.0, longest_s=30.0)
    assert [server.outage.is_too_long(now) for now in (100.0, 130.0, 130.1)] == [False, False, True]
    server.gives(OK, at=131.0)
    assert not server.outage.is_too_long(1e9)


def test_an_outage_may_go_unnoticed() -> None:
    """With 0 seconds nobody waits, and each attempt counts."""
    server = down(longest_s=0.0)
    assert (server.outage.is_on, server.outage.is_too_long(1e9), server.pauses) == (False, False, [])
