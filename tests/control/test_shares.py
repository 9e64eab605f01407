from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.control.shares import Claim, QueuedClaim, fair_shares, queued_shares, whole_shares

numbers = st.integers(0, 10**9)
claims = st.dictionaries(
    st.text("abcdef", max_size=3),
    st.builds(QueuedClaim, st.integers(0, 2), st.sampled_from("xyz"), st.just(1_000), numbers),
    min_size=1,
)


@given(numbers, st.dictionaries(st.integers(), st.builds(Claim, numbers, st.integers(1, 10_000)), min_size=1))
def test_shares_are_at_most_the_limit_and_nobody_gets_more_than_it_wants(limit: int, claims: dict[int, Claim]) -> None:
    """What is left over is less than one for each claim, or nobody wants it."""
    shares = fair_shares(limit, claims)

    assert all(0 <= shares[key] <= claim.wants for key, claim in claims.items())
    wanted = min(limit, sum(claim.wants for claim in claims.values()))
    assert wanted - len(claims) < sum(shares.values()) <= wanted or wanted == sum(shares.values())


def test_shares_have_the_ratio_of_the_weights() -> None:
    """What one doesn't want goes to the others in their ratio."""
    shares = fair_shares(100, {"a": Claim(1_000, 1), "b": Claim(1_000, 3), "c": Claim(20, 4)})

    assert shares == {"c": 20, "a": 20, "b": 60}


def test_a_rank_gets_what_the_rank_before_it_leaves() -> None:
    """Nightly clients get what they want, whatever the others want."""
    claims = {
        "night": QueuedClaim(0, "a", 1, 70),
        "manual": QueuedClaim(1, "a", 1, 100),
        "backfill": QueuedClaim(2, "b", 1, 100),
    }

    assert queued_shares(100, claims) == {"night": 70, "manual": 30, "backfill": 0}


def test_queues_share_evenly_whatever_their_numbers_of_clients() -> None:
    """Eight shards of one DAG have together what one shard of another DAG has."""
    claims = {f"a{shard}": QueuedClaim(0, "a", 1, 1_000) for shard in range(8)} | {"b": QueuedClaim(0, "b", 1, 1_000)}

    shares = queued_shares(160, claims)

    assert shares["b"] == 80
    assert {shares[f"a{shard}"] for shard in range(8)} == {10}


@given(st.integers(0, 50), claims)
def test_whole_shares_use_up_a_small_limit(limit: int, claims: dict[str, QueuedClaim]) -> None:
    """As far as somebody wants it, one by one."""
    shares = whole_shares(limit, claims)

    assert all(0 <= shares[name] <= claim.wants for name, claim in claims.items())
    assert sum(shares.values()) <= limit
    if all(claim.wants >= limit for claim in claims.values()):
        assert sum(shares.values()) == limit


def test_what_cannot_be_divided_goes_to_the_first_clients() -> None:
    """Always to the same: a request that is handed on is nobody's for a while."""
    claims = {name: QueuedClaim(0, "q", 1, 10) for name in "abcde"}

    assert whole_shares(13, claims) == {"a": 3, "b": 3, "c": 3, "d": 2, "e": 2}
