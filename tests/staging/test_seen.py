from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.staging.seen import BUCKETS, Seen


@given(st.lists(st.binary(max_size=3)))
def test_each_is_new_once(identities: list[bytes]) -> None:
    """A byte string is new the first time and known ever after, whatever its bytes."""
    known: set[bytes] = set()
    with Seen() as seen:
        for identity in identities:
            assert seen.add(identity) is (identity not in known)
            known.add(identity)


def test_two_sets_do_not_share() -> None:
    """Each use begins with nothing."""
    with Seen() as one, Seen() as other:
        assert one.add(b"a")
        assert other.add(b"a")


def test_a_hundred_thousand_are_told_apart() -> None:
    """What lies in the file is as well known as what is still in memory."""
    with Seen() as seen:
        assert all(seen.add(b"%0200d" % number) for number in range(100_000))
        assert not any(seen.add(b"%0200d" % number) for number in range(0, 100_000, 1000))


def test_what_shares_a_bucket_is_told_apart() -> None:
    """Of so many members thousands share a bucket: each is found behind the others, and nothing else is."""
    number = BUCKETS // 4
    with Seen() as seen:
        assert all(seen.add(b"%d" % member) for member in range(number))
        assert all(b"%d" % member in seen for member in range(0, number, 1001))
        assert not any(b"%d" % member in seen for member in range(number, 2 * number, 1001))


def test_what_is_closed_is_gone() -> None:
    """Whoever doesn't use `with` closes it; twice does no harm."""
    seen = Seen()
    assert seen.add(b"a")
    seen.close()
    seen.close()
    with pytest.raises(ValueError, match="released"):
        seen.add(b"b")


@given(st.lists(st.binary(max_size=2)), st.lists(st.binary(max_size=2)))
def test_looking_adds_nothing(added: list[bytes], asked: list[bytes]) -> None:
    """What is in it can be asked, and asking leaves it as it is."""
    with Seen() as seen:
        for identity in added:
            seen.add(identity)
        assert [identity in seen for identity in asked] == [identity in added for identity in asked]
        assert [identity in seen for identity in asked] == [identity in added for identity in asked]
