"""The service's decisions, without a socket."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest

from demo.service.auth import allows
from demo.service.calls import calls_of, rows_between
from demo.service.counters import Counters
from demo.service.faults import Fault, Faults, FaultsRefused, decide
from demo.service.options import Options, Setting, UnknownSetting, command_line, parse
from demo.service.subscribers import CursorRefused, Subscriber, numbered_page, page_from_cursor, roster

TEL = "+12015550100"
DAY = date(2026, 11, 22)


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
    met = [decide(faults, 7, f"{TEL}{i}", 1)[0] for i in range(5000)]
    shares = {fault: times / 5000 for fault, times in Counter(met).items()}
    assert shares[Fault.ERROR] == pytest.approx(0.2, abs=0.02)
    assert shares[Fault.THROTTLE] == pytest.approx(0.1, abs=0.02)
    assert shares[Fault.RESET] == pytest.approx(0.05, abs=0.02)
    assert met == [decide(faults, 7, f"{TEL}{i}", 1)[0] for i in range(5000)]


def test_another_try_is_another_draw() -> None:
    """A number that met a fault by chance is answered some other time."""
    faults = Faults(error_rate=0.5)
    assert {decide(faults, 7, TEL, time)[0] for time in range(1, 30)} == {None, Fault.ERROR}


def test_named_numbers_always_meet_their_fault() -> None:
    """A fault by name comes every time, before any fault by chance."""
    faults = Faults(error_rate=1.0, null=frozenset({TEL}))
    assert {decide(faults, 7, TEL, time)[0] for time in range(1, 30)} == {Fault.NULL}


def test_delay_is_latency_and_part_of_the_jitter() -> None:
    """The delay lies between the latency and the latency with all of the jitter."""
    delays = [decide(Faults(latency_ms=50, jitter_ms=20), 7, TEL, time)[1] for time in range(1, 200)]
    assert 0.05 <= min(delays) < 0.055
    assert 0.065 < max(delays) <= 0.07


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
    }
    options = parse(command_line(settings))
    faults = Faults(latency_ms=50.0, fail=frozenset({TEL, "+12015550101"}))
    assert options == Options(subscribers=12, token="t", faults=faults)
    with pytest.raises(UnknownSetting, match="no setting latency: it has host"):
        command_line({"latency": 50})


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
    counters = Counters()
    for _ in range(3):
        counters.calls_began()
    counters.calls_ended()
    counters.reset()
    counters.calls_ended()
    assert (counters.in_flight, counters.peak_in_flight) == (1, 2)
