from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout import codec
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry, Throttle, Timeouts

SECONDS = st.floats(min_value=0.001, max_value=1e9)
COUNTS = st.integers(min_value=1, max_value=10**9)
SHARES = st.floats(min_value=0, max_value=1)


@given(
    st.builds(
        FetchSettings,
        concurrency=COUNTS,
        timeouts=st.builds(Timeouts, connect_s=SECONDS, read_s=SECONDS, total_s=SECONDS),
        retry=st.builds(
            Retry,
            max_attempts=COUNTS,
            initial_delay_s=SECONDS,
            max_delay_s=SECONDS,
            max_retry_after_s=SECONDS,
            statuses=st.lists(st.integers(100, 599)).map(tuple),
            budget=SHARES,
            last_pass=st.booleans(),
        ),
        throttle=st.builds(
            Throttle,
            adaptive=st.booleans(),
            min_concurrency=COUNTS,
            initial_concurrency=COUNTS,
            rate_per_s=st.none() | SECONDS,
        ),
        breaker=st.builds(
            Breaker, canary=st.just(0) | COUNTS, max_failures=SHARES, min_sample=COUNTS, outage_s=st.just(0) | SECONDS
        ),
        max_body_bytes=COUNTS,
        transport=st.sampled_from(["auto", "curl", "requests"]),
    )
)
def test_settings_travel_as_json(settings: FetchSettings) -> None:
    """What the engine reads from its pipe equals what the author set."""
    assert codec.decoder(FetchSettings)(codec.encode(settings)) == settings


NUMBERS = ["1", None, True, float("nan"), float("inf"), -1]


@pytest.mark.parametrize("name", ["connect_s", "read_s", "total_s"])
@pytest.mark.parametrize("value", [*NUMBERS, 0], ids=repr)
def test_a_timeout_is_a_number_of_seconds(name: str, value: Any) -> None:
    """No timeout can be switched off, by zero, nothing or infinity: each one is always set."""
    with pytest.raises(BadSetting) as caught:
        Timeouts(**{name: value})
    assert caught.value.field == f"timeouts.{name}"


@pytest.mark.parametrize("name", ["initial_delay_s", "max_delay_s", "max_retry_after_s"])
@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_a_wait_is_a_number_of_seconds(name: str, value: Any) -> None:
    """A wait may be nothing, but not less, and not forever."""
    assert getattr(Retry(**{name: 0}), name) == 0
    with pytest.raises(BadSetting) as caught:
        Retry(**{name: value})
    assert caught.value.field == f"retry.{name}"


@pytest.mark.parametrize("name", ["concurrency", "max_body_bytes"])
@pytest.mark.parametrize("value", [*NUMBERS, 0, 2.5, 3.0], ids=repr)
def test_what_is_counted_is_a_whole_number(name: str, value: Any) -> None:
    """Two and a half requests at once are refused where they are written, not in the engine."""
    with pytest.raises(BadSetting) as caught:
        FetchSettings(**{name: value})
    assert caught.value.field == name


@pytest.mark.parametrize("value", [*NUMBERS, 0, 2.5], ids=repr)
def test_attempts_are_a_whole_number_from_one_on(value: Any) -> None:
    """Every parameter is asked for at least once."""
    with pytest.raises(BadSetting) as caught:
        Retry(max_attempts=value)
    assert caught.value.field == "retry.max_attempts"


@pytest.mark.parametrize("name", ["canary", "min_sample"])
@pytest.mark.parametrize("value", [*NUMBERS, 2.5, 3.0], ids=repr)
def test_a_sample_is_a_whole_number(name: str, value: Any) -> None:
    """Nobody waits for half a parameter; only the canary may be none at all."""
    assert Breaker(canary=0).canary == 0
    with pytest.raises(BadSetting) as caught:
        Breaker(**{name: value})
    assert caught.value.field == f"breaker.{name}"
    with pytest.raises(BadSetting):
        Breaker(min_sample=0)


@pytest.mark.parametrize("value", [503, "503", ("503",), (99,), (600,), (None,)], ids=repr)
def test_retry_statuses_are_http_statuses(value: Any) -> None:
    """A status as text would never match, without a word."""
    with pytest.raises(BadSetting) as caught:
        Retry(statuses=value)
    assert caught.value.field == "retry.statuses"


@pytest.mark.parametrize("value", [*NUMBERS, 1.01], ids=repr)
def test_shares_are_from_nothing_to_all(value: Any) -> None:
    """A share of 30 would be meant as a percentage, and never trip."""
    with pytest.raises(BadSetting) as budget:
        Retry(budget=value)
    with pytest.raises(BadSetting) as failures:
        Breaker(max_failures=value)
    assert (budget.value.field, failures.value.field) == ("retry.budget", "breaker.max_failures")
    assert (Retry(budget=0).budget, Breaker(max_failures=1).max_failures) == (0, 1)


@pytest.mark.parametrize("name", ["min_concurrency", "initial_concurrency"])
@pytest.mark.parametrize("value", [*NUMBERS, 0, 2.5], ids=repr)
def test_the_throttles_numbers_are_whole(name: str, value: Any) -> None:
    """There is no half request; a floor of nothing would stop a run for ever."""
    with pytest.raises(BadSetting) as caught:
        Throttle(**{name: value})
    assert caught.value.field == f"throttle.{name}"


@pytest.mark.parametrize("value", ["1", True, float("nan"), float("inf"), -1, 0], ids=repr)
def test_a_rate_is_a_number_above_nothing(value: Any) -> None:
    """No limit is `None`; a rate of nothing would never send."""
    assert Throttle(rate_per_s=None).rate_per_s is None
    with pytest.raises(BadSetting) as caught:
        Throttle(rate_per_s=value)
    assert caught.value.field == "throttle.rate_per_s"


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_an_outage_is_a_number_of_seconds(value: Any) -> None:
    """It may be nothing: then nobody waits for a server that is gone."""
    assert Breaker(outage_s=0).outage_s == 0
    with pytest.raises(BadSetting) as caught:
        Breaker(outage_s=value)
    assert caught.value.field == "breaker.outage_s"


@pytest.mark.parametrize("value", ["libcurl", "", None, ["curl"]], ids=repr)
def test_a_transport_is_one_of_three(value: Any) -> None:
    """A name that nobody knows is refused where it is written; not saying anything is `auto`."""
    assert FetchSettings().transport == "auto"
    with pytest.raises(BadSetting) as caught:
        FetchSettings(transport=value)
    assert caught.value.field == "transport"


def test_settings_are_frozen() -> None:
    """Settings are values: nobody changes them on the way."""
    with pytest.raises(AttributeError):
        FetchSettings().concurrency = 7  # type: ignore[misc] # what is tried here


@given(st.integers(1, 40), st.integers(0, 60), st.integers(1, 300), st.data())
def test_shares_add_up(concurrency: int, canary: int, start: int, data: st.DataObject) -> None:
    """The limits of several processes add up to the whole's, and none of them is left with nothing."""
    of = data.draw(st.integers(1, concurrency))
    whole = FetchSettings(
        concurrency=concurrency,
        throttle=Throttle(initial_concurrency=start, rate_per_s=12.0),
        breaker=Breaker(canary=canary, min_sample=200),
        processes=of,
    )
    shares = [whole.share(number, of) for number in range(of)]
    assert sum(share.concurrency for share in shares) == concurrency
    assert sum(share.throttle.rate_per_s or 0 for share in shares) == pytest.approx(12.0)
    assert sum(share.breaker.min_sample for share in shares) == 200
    assert sum(share.breaker.canary for share in shares) == (max(canary, of) if canary else 0)
    assert sum(share.throttle.initial_concurrency for share in shares) == max(start, of)
    assert min(share.concurrency for share in shares) >= 1
    assert {share.retry for share in shares} == {whole.retry}


def test_more_processes_than_requests_are_refused() -> None:
    """A process that may send nothing is a slip; the message names both numbers."""
    with pytest.raises(BadSetting, match=r"processes.*at most one for each request \(2\)"):
        FetchSettings(concurrency=2, processes=3)
    with pytest.raises(BadSetting, match="processes"):
        FetchSettings(processes=0)


@pytest.mark.parametrize(
    ("field", "value", "example"),
    [
        ("retry", 3, "a Retry, such as Retry(max_attempts=3)"),
        ("retry", Retry, "a Retry, such as Retry(max_attempts=3)"),
        ("retry", {"attempts": 3}, "a Retry, such as Retry(max_attempts=3)"),
        ("timeouts", 30, "a Timeouts, such as Timeouts(total_s=30)"),
        ("throttle", 10, "a Throttle, such as Throttle(rate_per_s=10)"),
        ("breaker", None, "a Breaker, such as Breaker(max_failures=0.2)"),
    ],
)
def test_a_setting_of_another_kind_is_refused_with_an_example(field: str, value: Any, example: str) -> None:
    """Where it is written, not in the engine."""
    with pytest.raises(BadSetting) as caught:
        FetchSettings(**{field: value})
    assert (caught.value.field, caught.value.expected) == (field, example)


@pytest.mark.parametrize("value", ["no", 1, None], ids=repr)
def test_a_switch_is_true_or_false(value: Any) -> None:
    """A text would always be true."""
    for make in (lambda: Retry(last_pass=value), lambda: Throttle(adaptive=value)):
        with pytest.raises(BadSetting, match="expected True or False"):
            make()
