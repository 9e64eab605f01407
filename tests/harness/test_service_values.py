"""The service's decisions, without a socket."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date, timedelta
from email.utils import parsedate_to_datetime

import pytest

from harness.service.auth import allows
from harness.service.calls import calls_of, rows_between
from harness.service.counters import Counters
from harness.service.faults import BURST, Fault, Faults, FaultsRefused, Turn, decide
from harness.service.line import Line
from harness.service.options import Options, Setting, UnknownSetting, command_line, parse
from harness.service.pace import KEPT_S, WATCHED_S, Pace
from harness.service.quota import Quota, QuotaState, retry_date
from harness.service.subscribers import CursorRefused, Subscriber, numbered_page, page_from_cursor, roster

TEL = "+12015550100"
DAY = date(2026, 11, 22)


def turn(tel: str = TEL, *, time: int = 1, nth: int = 1, in_flight: int = 1) -> Turn:
    """A request for a number's calls; the very first one unless said otherwise."""
    return Turn(tel, time, nth, in_flight)


def test_calls_depend_on_seed_number_and_day_alone() -> None:
    """The same seed, number and day give the same calls; another of any gives others."""
    calls = calls_of(7, TEL, DAY)
    assert calls == calls_of(7, TEL, DAY)
    others = [
        calls_of(8, TEL, DAY),
        calls_of(7, "+12015550101", DAY),
        calls_of(7, TEL, DAY + timedelta(days=1)),
    ]
    assert calls not in others


def test_calls_of_a_day() -> None:
    """A day has none to eight calls, in order, each in its day, in a second of its own, to somebody else."""
    days = [DAY + timedelta(days=offset) for offset in range(400)]
    seen = Counter(len(calls_of(7, TEL, day)) for day in days)
    assert set(seen) == set(range(9))
    for day in days:
        starts = [call.at for call in calls_of(7, TEL, day)]
        assert starts == sorted(set(starts))
        assert all(at.startswith(f"{day}T") and at.endswith("Z") for at in starts)
        assert all(call.to != TEL and 1 <= call.seconds <= 3600 for call in calls_of(7, TEL, day))


def test_rows_between_days_are_the_days_calls() -> None:
    """The calls in [start, end) are those of each day from start to the day before end."""
    rows = list(rows_between(7, [TEL], DAY, DAY + timedelta(days=2)))
    expected = [*calls_of(7, TEL, DAY), *calls_of(7, TEL, DAY + timedelta(days=1))]
    assert [(row.at, row.to, row.seconds) for row in rows] == [(c.at, c.to, c.seconds) for c in expected]
    assert not list(rows_between(7, [TEL], DAY, DAY))


def test_longer_roster_begins_with_the_shorter_one() -> None:
    """Asking for more subscribers changes nobody."""
    assert roster(7, 300)[:100] == roster(7, 100)
    assert roster(7, 100) != roster(8, 100)


def test_pages_hold_everybody_once() -> None:
    """Following numbers, or cursors, to the last page meets every subscriber once, in order."""
    everyone = roster(7, 23)
    numbered = [numbered_page(everyone, page, 5) for page in range(1, 6)]
    assert [one for page in numbered for one in page.subscribers] == list(everyone)
    assert [(page.page, page.pages, page.next is None) for page in numbered][-2:] == [
        (4, 5, False),
        (5, 5, True),
    ]
    page, seen = numbered_page(everyone, 1, 5), list[Subscriber]()
    while True:
        seen += page.subscribers
        if page.cursor is None:
            break
        page = page_from_cursor(everyone, page.cursor, 5)
    assert seen == list(everyone)


@pytest.mark.parametrize("cursor", ["", "5", "é", "YWZ0ZXI6LTE=", "YWZ0ZXI6"])
def test_foreign_cursor_is_refused(cursor: str) -> None:
    """A cursor that no page handed out is refused, whatever it looks like."""
    with pytest.raises(CursorRefused):
        page_from_cursor(roster(7, 3), cursor, 5)


def test_fault_rates_are_met() -> None:
    """Over many requests each fault comes about as often as its rate says, and always at the same ones."""
    faults = Faults(error_rate=0.2, throttle_rate=0.1, reset_rate=0.05)
    met = [decide(faults, 7, turn(f"{TEL}{i}"))[0] for i in range(5000)]
    shares = {fault: times / 5000 for fault, times in Counter(met).items()}
    assert shares[Fault.ERROR] == pytest.approx(0.2, abs=0.02)
    assert shares[Fault.THROTTLE] == pytest.approx(0.1, abs=0.02)
    assert shares[Fault.RESET] == pytest.approx(0.05, abs=0.02)
    assert met == [decide(faults, 7, turn(f"{TEL}{i}"))[0] for i in range(5000)]


def test_another_try_is_another_draw() -> None:
    """A number that met a fault by chance is answered some other time."""
    faults = Faults(error_rate=0.5)
    assert {decide(faults, 7, turn(time=time))[0] for time in range(1, 30)} == {None, Fault.ERROR}


def test_named_numbers_always_meet_their_fault() -> None:
    """A fault by name comes every time, before any fault by chance."""
    faults = Faults(error_rate=1.0, null=frozenset({TEL}))
    assert {decide(faults, 7, turn(time=time))[0] for time in range(1, 30)} == {Fault.NULL}


def test_delay_is_latency_and_part_of_the_jitter() -> None:
    """The delay lies between the latency and the latency with all of the jitter."""
    delays = [decide(Faults(latency_ms=50, jitter_ms=20), 7, turn(time=time))[1] for time in range(1, 200)]
    assert 0.05 <= min(delays) < 0.055
    assert 0.065 < max(delays) <= 0.07


def test_burst_is_throttled_as_a_whole() -> None:
    """In bursts, fifty requests in a row are throttled or none of them, about as often as the rate says."""
    faults = Faults(throttle_rate=0.3, throttle_burst=True)
    met = [decide(faults, 7, turn(f"{TEL}{nth}", nth=nth))[0] for nth in range(1, 1000 * BURST + 1)]
    bursts = [set(met[start : start + BURST]) for start in range(0, len(met), BURST)]
    assert all(len(burst) == 1 for burst in bursts)
    assert sum(burst == {Fault.THROTTLE} for burst in bursts) == pytest.approx(300, abs=40)


def test_bursts_leave_other_rates_as_they_are() -> None:
    """An error rate is a share of all requests, whether or not bursts take some of them."""
    faults = Faults(throttle_rate=0.5, throttle_burst=True, error_rate=0.25)
    met = Counter(decide(faults, 7, turn(f"{TEL}{nth}", nth=nth))[0] for nth in range(1, 1000 * BURST + 1))
    assert met[Fault.ERROR] / met.total() == pytest.approx(0.25, abs=0.03)


def test_beyond_the_knee_a_request_takes_twice_as_long() -> None:
    """As many as the knee are in flight without being slower; one more waits twice its latency."""
    faults = Faults(latency_ms=50, knee=10)
    assert [decide(faults, 7, turn(in_flight=count))[1] for count in (1, 10, 11)] == [0.05, 0.05, 0.1]
    assert decide(Faults(latency_ms=50), 7, turn(in_flight=1000))[1] == 0.05


def test_quota_begins_anew_each_second() -> None:
    """A second of the clock lets in as many as the limit says, wherever in it they fall."""
    quota = Quota()
    arrivals = (5.0, 5.9, 5.95, 6.0, 6.1, 6.2, 8.5)
    within = [(standing.within, standing.remaining) for standing in (quota.ask(now, 2) for now in arrivals)]
    assert within == [(True, 1), (True, 0), (False, 0), (True, 1), (True, 0), (False, 0), (True, 1)]


def test_lowered_quota_has_nothing_left() -> None:
    """A limit below what its second has already let in leaves none, not less than none."""
    quota = Quota()
    for _ in range(3):
        quota.ask(5.0, 10)
    assert quota.ask(5.5, 2) == QuotaState(within=False, limit=2, remaining=0)


@pytest.mark.parametrize("now_epoch_s", [1_763_800_000.0, 1_763_800_000.001, 1_763_800_000.999])
def test_retry_date_is_never_too_early(now_epoch_s: float) -> None:
    """A date, which holds whole seconds, is at least as far away as the wait, and less than a second further."""
    date_s = parsedate_to_datetime(retry_date(2, now_epoch_s)).timestamp()
    assert now_epoch_s + 2 <= date_s < now_epoch_s + 3


def test_pace_tells_the_last_ten_minutes() -> None:
    """Each second has its requests and its 429s, by when these arrived; silent and old seconds are left out."""
    pace = Pace(100.7)
    for now in (100.8, 100.9, 101.0, 103.5):
        pace.arrived(now)
    pace.refused(100.9)
    assert pace.by_second(104) == {
        0: {"requests": 2, "refused": 1},
        1: {"requests": 1, "refused": 0},
        3: {"requests": 1, "refused": 0},
    }
    assert list(pace.by_second(100 + KEPT_S)) == [1, 3]
    for second in range(200, 200 + 2 * KEPT_S):
        pace.arrived(second)
    pace.refused(103.5)
    assert list(pace.by_second(199 + 2 * KEPT_S)) == list(range(100 + KEPT_S, 100 + 2 * KEPT_S))


def test_concurrency_is_of_the_last_ten_seconds() -> None:
    """Median and maximum are of what was in flight at the arrivals of ten seconds, and 0 without any."""
    pace = Pace(0)
    assert pace.concurrency(0) == {"median": 0, "max": 0}
    for now, in_flight in ((0.5, 90), (5.0, 8), (5.1, 9), (12.0, 10), (12.1, 11)):
        pace.arrived(now)
        pace.in_flight(in_flight)
    assert pace.concurrency(9.9) == {"median": 10, "max": 90}
    assert pace.concurrency(12.9) == {"median": 9, "max": 11}
    assert pace.concurrency(12 + WATCHED_S) == {"median": 0, "max": 0}


async def served(line: Line, order: list[int], name: int, until: asyncio.Event) -> None:
    """Take a place, say so, and keep it until something happens."""
    async with line:
        order.append(name)
        await until.wait()


async def settled() -> None:
    """Let everybody go on who can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_line_is_first_come_first_served() -> None:
    """No more than the places are served at once, in the order in which they came, and a resize holds at once."""

    async def scene() -> None:
        line, order = Line(2), list[int]()
        ends = [asyncio.Event() for _ in range(6)]
        tasks = [asyncio.create_task(served(line, order, name, end)) for name, end in enumerate(ends)]
        await settled()
        assert order == [0, 1]
        ends[1].set()
        await settled()
        assert order == [0, 1, 2]
        line.resize(3)
        await settled()
        assert order == [0, 1, 2, 3]
        line.resize(0)
        await settled()
        assert order == [0, 1, 2, 3, 4, 5]
        for end in ends:
            end.set()
        await asyncio.gather(*tasks)
        assert "0 of endless places taken, 0 waiting" in repr(line)

    asyncio.run(scene())


def test_who_leaves_the_line_holds_nobody_up() -> None:
    """Who goes away while waiting, or in the instant of being called, leaves the place to the next."""

    async def scene() -> None:
        line, order = Line(1), list[int]()
        ends = [asyncio.Event() for _ in range(4)]
        tasks = [asyncio.create_task(served(line, order, name, end)) for name, end in enumerate(ends)]
        await settled()
        tasks[1].cancel()
        await settled()
        # The new place goes to the third, who is gone before it gets to know.
        line.resize(2)
        tasks[2].cancel()
        await settled()
        assert order == [0, 3]
        for end in ends:
            end.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert "0 of 2 places taken, 0 waiting" in repr(line)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"eror_rate": 0.1}, "eror_rate is no fault setting: there are latency_ms"),
        ({"error_rate": "a"}, "error_rate takes a number"),
        ({"error_rate": True}, "error_rate takes a number"),
        ({"error_rate": -0.1}, "error_rate is -0.1: it can't be below 0"),
        ({"error_rate": float("nan")}, "error_rate is nan"),
        ({"error_rate": 0.7, "hang_rate": 0.7}, "rates add up to 1.4: together they can't be above 1"),
        ({"large_mb": 1.5}, "large_mb takes a whole number"),
        ({"fail": TEL}, "fail takes a list of telephone numbers"),
        ({"limit_per_s": 1.5}, "limit_per_s takes a whole number"),
        ({"queue": -1}, "queue is -1: it can't be below 0"),
        ({"knee": True}, "knee takes a whole number"),
        ({"down": 2}, "down takes 0 or 1"),
        ({"throttle_burst": "1"}, "throttle_burst takes 0 or 1"),
    ],
)
def test_wrong_faults_are_refused(changes: dict[str, object], said: str) -> None:
    """A wrong name, type or value is refused with the setting's name and what it takes."""
    with pytest.raises(FaultsRefused, match=said):
        Faults().changed(changes)


def test_command_line_is_read_as_it_was_written() -> None:
    """Settings that became arguments become the same settings again."""
    settings: dict[str, Setting] = {
        "subscribers": 12,
        "latency_ms": 50,
        "token": "t",
        "fail": [TEL, "+12015550101"],
        "null": [],
        "limit_per_s": 100,
        "quota_headers": True,
        "retry_after_date": 1,
        "down": False,
    }
    options = parse(command_line(settings))
    faults = Faults(
        latency_ms=50.0,
        fail=frozenset({TEL, "+12015550101"}),
        limit_per_s=100,
        quota_headers=True,
        retry_after_date=True,
    )
    assert options == Options(subscribers=12, token="t", faults=faults)
    with pytest.raises(UnknownSetting, match="no setting latency: it has host"):
        command_line({"latency": 50})


def test_switch_is_0_or_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A switch on the command line takes nothing but 0 and 1; a changed one may be true or false, too."""
    with pytest.raises(SystemExit):
        parse(["--down=yes"])
    assert "argument --down: takes 0 or 1, not 'yes'" in capsys.readouterr().err
    assert Faults().changed({"down": 1}) == Faults().changed({"down": True}) == Faults(down=True)


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("Bearer secret", True),
        ("bearer secret", True),
        ("Basic YW55Ym9keTpzZWNyZXQ=", True),
        ("Basic c2VjcmV0Og==", False),
        ("Basic !", False),
        ("Bearer other", False),
        ("Bearer é", False),
        ("", False),
        (None, False),
    ],
)
def test_token_opens(header: str | None, *, allowed: bool) -> None:
    """The token opens as bearer and as the password of basic, and nothing else does."""
    assert allows("secret", header) is allowed
    assert allows(None, header)


def test_peak_is_of_what_is_in_flight_together() -> None:
    """The peak is the most requests that waited at once, and a reset leaves those that still wait in it."""
    counters = Counters(Pace(0))
    for _ in range(3):
        counters.calls_began()
    counters.calls_ended()
    counters.reset(0)
    counters.calls_ended()
    assert (counters.in_flight, counters.peak_in_flight) == (1, 2)
