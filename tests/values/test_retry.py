from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_fanout.control.retry import Again, RetryBudget, Verdict, bound_s, decide, without_too_long_a_pause
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.model.settings import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = Outcome(Kind.TIMEOUT)
THROTTLED = Outcome(Kind.HTTP_ERROR, status=429)
SECONDS = st.floats(min_value=0, max_value=1e300)
OUTCOMES = st.builds(
    Outcome,
    st.sampled_from([kind for kind in Kind if kind is not Kind.NOT_TRIED]),
    status=st.none() | st.sampled_from([200, 401, 404, 408, 429, 500, 503]),
    retry_after_s=st.none() | st.floats(0, 1000),
)


def longest(low: float, high: float) -> float:
    """Draw the greatest number of a range."""
    return high


def decided(
    outcome: Outcome,
    *,
    attempt: int = 1,
    repeatable: bool = True,
    policy: Retry | None = None,
    budget: RetryBudget | None = None,
    uniform: Callable[[float, float], float] = longest,
    was_garbled: bool = False,
) -> Again | Verdict:
    """Decide on an outcome, with the longest wait that it can get and nothing spent yet."""
    return decide(
        outcome,
        attempt=attempt,
        policy=policy or Retry(),
        repeatable=repeatable,
        budget=budget or RetryBudget(0.2),
        uniform=uniform,
        was_garbled=was_garbled,
    )


@given(st.integers(1, 10**6), SECONDS, SECONDS, st.none() | st.floats(0, 100), st.randoms(use_true_random=False))
@example(attempt=5000, base_s=1e300, cap_s=1e300, asked=None, source=random.Random(1))
def test_a_wait_stays_within_its_bounds(
    attempt: int, base_s: float, cap_s: float, asked: float | None, source: random.Random
) -> None:
    """A wait is at least what the server asked for, and beyond it at most the doubled base and at most the cap."""
    policy = Retry(max_attempts=10**6 + 1, initial_delay_s=base_s, max_delay_s=cap_s)
    outcome = Outcome(Kind.TIMEOUT, retry_after_s=asked)
    found = decided(outcome, attempt=attempt, policy=policy, uniform=source.uniform)
    assert isinstance(found, Again)
    least = asked or 0.0
    assert least <= found.wait_s <= (least + min(cap_s, base_s * 2.0 ** min(attempt - 1, 64))) * (1 + 1e-9)


def test_the_bound_doubles_up_to_the_cap() -> None:
    """With a base of half a second, the longest waits are 0.5, 1, 2, 4 and then the cap."""
    policy = Retry(max_attempts=10, initial_delay_s=0.5, max_delay_s=5.0)
    assert [bound_s(attempt, policy) for attempt in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    endless = Retry(max_attempts=100, initial_delay_s=1.0, max_delay_s=1e300)
    assert [bound_s(attempt, endless) for attempt in (64, 65, 66, 90)] == [2.0**63, 2.0**64, 2.0**64, 2.0**64]


def test_the_jitter_is_full() -> None:
    """The wait is drawn from all of the range, from nothing to the bound."""
    asked = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    assert decided(TIMEOUT, attempt=3, uniform=uniform) == Again(0.0)
    assert asked == [(0.0, 2.0)]


@pytest.mark.parametrize("last_pass", [True, False])
@pytest.mark.parametrize("attempts", [2, 5])
def test_attempts_have_an_end(attempts: int, last_pass: bool) -> None:
    """A parameter is asked for `attempts` times, the first included, then it is the last pass's, if there is one."""
    policy = Retry(max_attempts=attempts, last_pass=last_pass)
    found = [decided(TIMEOUT, attempt=attempt, policy=policy) for attempt in range(1, attempts + 1)]
    assert all(isinstance(one, Again) for one in found[:-1])
    assert found[-1] is (Verdict.LATER if last_pass else Verdict.FINAL)
    assert decided(TIMEOUT, attempt=attempts + 1, policy=policy) is found[-1]


def test_once_is_once() -> None:
    """With one attempt there is no last pass either: who changes something on the server asks for nothing twice."""
    assert decided(TIMEOUT, policy=Retry(max_attempts=1)) is Verdict.FINAL
    assert decided(THROTTLED, policy=Retry(max_attempts=1), repeatable=False) is Verdict.FINAL


@pytest.mark.parametrize("kind", Kind)
def test_only_what_may_pass_is_tried_again(kind: Kind) -> None:
    """Timeouts and lost connections may pass; a null, a bad answer or an author's error is what it is."""
    assert isinstance(decided(Outcome(kind)), Again) is (kind in (Kind.TIMEOUT, Kind.CONNECTION_ERROR))


@pytest.mark.parametrize(
    ("status", "again"), [(408, True), (429, True), (500, True), (503, True), (400, False), (404, False), (501, False)]
)
def test_a_status_is_tried_again_if_the_policy_has_it(status: int, again: bool) -> None:
    """Statuses that say "later" are tried again, those that say "no" are not; the author's list decides."""
    outcome = Outcome(Kind.HTTP_ERROR, status=status)
    assert isinstance(decided(outcome), Again) is again
    assert decided(outcome, policy=Retry(statuses=())) is Verdict.FINAL


@pytest.mark.parametrize(
    "outcome",
    [TIMEOUT, Outcome(Kind.CONNECTION_ERROR), *(Outcome(Kind.HTTP_ERROR, status=code) for code in (408, 500, 503))],
)
def test_what_may_have_arrived_is_not_sent_twice(outcome: Outcome) -> None:
    """A request that must not be repeated isn't, in no pass, when nobody knows whether it was carried out."""
    assert decided(outcome, repeatable=False) is Verdict.FINAL
    assert decided(outcome, attempt=9, repeatable=False) is Verdict.FINAL


def test_a_throttled_request_was_not_carried_out() -> None:
    """429 says that nothing was done, so even a request that must not be repeated is sent again."""
    assert isinstance(decided(THROTTLED, repeatable=False), Again)


def test_a_server_may_ask_for_patience_up_to_a_limit() -> None:
    """`Retry-After` is waited for up to the policy's limit; beyond it the task hands its worker slot back."""
    policy = Retry(max_retry_after_s=60.0)
    assert decided(Outcome(Kind.HTTP_ERROR, status=503, retry_after_s=60.0), policy=policy) == Again(60.5)
    assert decided(Outcome(Kind.HTTP_ERROR, status=503, retry_after_s=60.1), policy=policy) is Verdict.HAND_BACK


@pytest.mark.parametrize("status", [429, 503])
def test_no_wait_asked_for_leaves_the_backoff_as_it_is(status: int) -> None:
    """`Retry-After: 0` allows the next request at once; it doesn't say that many may come at once."""
    asked = Outcome(Kind.HTTP_ERROR, status=status, retry_after_s=0.0)
    for attempt in (1, 2, 3):
        assert decided(asked, attempt=attempt) == Again(bound_s(attempt, Retry()))


def test_patience_is_no_matter_of_attempts() -> None:
    """The pause is handed back also after the last attempt, and costs nothing of the budget."""
    budget = RetryBudget(0.0)
    patient = Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=3600.0)
    assert decided(patient, attempt=5, budget=budget) is Verdict.HAND_BACK
    assert sum(budget.take() for _ in range(200)) == RetryBudget.RESERVE


def test_without_budget_what_fails_is_left_for_later() -> None:
    """When too much is repeated already, a failure waits for the last pass, or stands if there is none."""
    spent = RetryBudget(0.0)
    while spent.take():
        pass
    assert decided(TIMEOUT, budget=spent) is Verdict.LATER
    assert decided(TIMEOUT, budget=spent, policy=Retry(last_pass=False)) is Verdict.FINAL


def test_requests_that_ended_together_count_each() -> None:
    """A hundred repetitions come with every run, and a share of the requests on top, one by one or many at once."""
    together, alone = RetryBudget(0.25), RetryBudget(0.25)
    together.sent(8)
    for _ in range(8):
        alone.sent()
    assert [sum(budget.take() for _ in range(200)) for budget in (together, alone, RetryBudget(0.25))] == [
        102,
        102,
        100,
    ]


@pytest.mark.parametrize("outcome", [Outcome(Kind.HTTP_ERROR, status=503), Outcome(Kind.CONNECTION_ERROR)])
def test_what_the_server_has_not_processed_is_sent_again(outcome: Outcome) -> None:
    """It was never sent, or the server says that it did nothing: sending it again is sending it once."""
    assert decided(outcome, repeatable=False) is Verdict.FINAL
    assert isinstance(decided(replace(outcome, unsent=True), repeatable=False), Again)
    assert isinstance(decided(replace(outcome, unprocessed=True), repeatable=False), Again)


def test_a_pause_that_nobody_waits_for_is_told() -> None:
    """Up to the longer of the two limits a pause stays; beyond it, the failure says so and the outcome stands."""
    failure = Failure("HTTPError", "HTTP 503", "report.py:7")
    for policy in (
        Retry(max_retry_after_s=60.0, max_deferral_s=50.0),
        Retry(max_retry_after_s=50.0, max_deferral_s=60.0),
    ):
        for asked_s in (None, 0.0, 59.9, 60.0):
            fine = Outcome(Kind.HTTP_ERROR, status=503, failure=failure, retry_after_s=asked_s)
            assert without_too_long_a_pause(fine, policy) is fine
        found = without_too_long_a_pause(replace(fine, retry_after_s=60.5), policy)
        assert (found.kind, found.status, found.retry_after_s) == (Kind.HTTP_ERROR, 503, None)
        assert found.failure is not None
        assert (found.failure.type, found.failure.where) == ("HTTPError", "report.py:7")
        assert "HTTP 503; the API asked us to wait 60 s, longer than 60 s" in found.failure.message
    bare = without_too_long_a_pause(Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=1e9), policy)
    assert (bare.retry_after_s, bare.failure) == (None, None)


@given(st.floats(0, 1), st.lists(st.booleans(), max_size=2000))
def test_the_budget_is_a_reserve_and_a_share(share: float, sent: list[bool]) -> None:
    """However requests and repetitions follow each other, no more is spent than a hundred and the share."""
    budget, requests, taken = RetryBudget(share), 0, 0
    for is_request in sent:
        if is_request:
            budget.sent()
            requests += 1
        else:
            taken += budget.take()
        assert taken <= RetryBudget.RESERVE + share * requests + 1e-6
    left = 0
    while budget.take():
        left += 1
    assert taken + left >= int(RetryBudget.RESERVE + share * requests - 1e-6)


@given(st.lists(OUTCOMES, min_size=30, max_size=30), st.integers(1, 10), st.booleans(), st.booleans())
def test_no_parameter_is_asked_for_more_often_than_the_policy_says(
    outcomes: list[Outcome], attempts: int, last_pass: bool, repeatable: bool
) -> None:
    """Whatever comes back, there are at most `attempts` tries, before what the last pass adds."""
    policy = Retry(max_attempts=attempts, last_pass=last_pass)
    tries = 1
    while isinstance(decided(outcomes[tries], attempt=tries, policy=policy, repeatable=repeatable), Again):
        tries += 1
    assert tries <= attempts


@pytest.mark.parametrize("status", [400, 403, 404, 429, 503])
def test_retry_after_counts_on_any_status(status: int) -> None:
    """A server that says when to come again is asked again then; without that, as the status says."""
    asked = Outcome(Kind.HTTP_ERROR, status=status, retry_after_s=7.0)
    found = decided(asked)
    assert isinstance(found, Again)
    assert found.wait_s >= 7.0
    assert isinstance(decided(Outcome(Kind.HTTP_ERROR, status=status)), Again) == (status in (429, 503))


def test_a_garbled_answer_is_asked_for_once_more_at_most() -> None:
    """A torn answer is another one the next time; what can't be read twice is what the server sends."""
    garbled = Outcome(Kind.INVALID, status=200, garbled=True)
    assert isinstance(decided(garbled), Again)
    assert decided(garbled, attempt=2, was_garbled=True) is Verdict.FINAL
    assert isinstance(decided(garbled, attempt=2, was_garbled=False), Again)
    assert isinstance(
        decide(garbled, attempt=1, policy=Retry(), repeatable=True, budget=RetryBudget(0.2), uniform=longest), Again
    )


@pytest.mark.parametrize("repeatable", [True, False])
def test_an_answer_that_says_it_has_failed_is_tried_again_if_the_author_says_so(repeatable: bool) -> None:
    """`retry_if` says that nothing was carried out; `failed_if` is final, whatever the server says of its limits."""
    failed = Outcome(Kind.API_ERROR, status=200, retry_after_s=3.0)
    assert decided(failed, repeatable=repeatable) is Verdict.FINAL
    again = decided(replace(failed, is_passing=True), repeatable=repeatable)
    assert isinstance(again, Again)
    assert again.wait_s >= 3.0
    assert decided(replace(failed, is_passing=True), attempt=5) is Verdict.LATER
