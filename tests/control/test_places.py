from __future__ import annotations

import random
from collections import Counter

import pytest

from airflow_fanout.control.places import Places, Share, SharedLimiter
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import FetchSettings, Throttle


def shares(places: Places, many: int) -> list[Share]:
    """Return this number of connections that take part."""
    made = [Share() for _ in range(many)]
    for share in made:
        places.join(share)
    return made


def take_all(places: Places, share: Share) -> int:
    """Take whatever a share may; return how much that is."""
    before = share.taken
    while room := places.room_for(share):
        places.take(share, room)
    return share.taken - before


def test_the_only_connection_has_all_places() -> None:
    """There is nobody to leave any to."""
    places = Places(32)
    [only] = shares(places, 1)
    assert take_all(places, only) == 32


def test_two_connections_have_half_each() -> None:
    """Neither is held up by what the other has under way."""
    places = Places(32)
    first, second = shares(places, 2)
    assert take_all(places, first) >= 16
    assert take_all(places, second) > 0
    places.give_back(first, first.taken)
    assert take_all(places, second) + second.taken >= 16


@pytest.mark.parametrize("hogs", [1, 3, 6])
def test_connections_that_give_nothing_back_leave_places_to_the_others(hogs: int) -> None:
    """Of 200 connections, a few take what they may and keep it; there is a place for the next one."""
    places = Places(32)
    everybody = shares(places, 200)
    for hog in everybody[:hogs]:
        assert take_all(places, hog) > 0
    for share in everybody[hogs:]:
        assert places.room_for(share) > 0
        places.take(share, 1)
        places.give_back(share, 1)


def test_a_connection_that_is_done_leaves_its_part_to_the_others() -> None:
    """Also what it had under way, which nobody waits for."""
    places = Places(8)
    first, second = shares(places, 2)
    take_all(places, first)
    places.leave(first)
    assert take_all(places, second) == 8


def test_whoever_waits_is_called_in_turn() -> None:
    """First come, first served; a connection that has had a place goes to the end of the line."""
    places = Places(2)
    first, second, third, fourth = everybody = shares(places, 4)
    called: list[Share] = []
    for share in everybody:
        share.wake = lambda share=share: called.append(share)  # type: ignore[misc]
    for share in (first, second):
        places.take(share, places.room_for(share))
    assert places.room_for(third) == places.room_for(fourth) == 0
    places.give_back(first, 1)
    assert called == [third]
    # It has just ended a request, and others wait.
    assert places.room_for(first) == 0
    assert places.room_for(third) == 1
    places.take(third, 1)
    places.give_back(second, 1)
    assert called == [third, fourth]
    assert places.room_for(fourth) == 1


def test_a_turn_that_is_not_taken_goes_to_the_next() -> None:
    """By who was called, if it waits for something else; by the clock, if it never comes."""
    places = Places(1)
    first, second, third, fourth = everybody = shares(places, 4)
    called: list[Share] = []
    for share in everybody:
        share.wake = lambda share=share: called.append(share)  # type: ignore[misc]
    places.take(first, 1)
    assert not any(map(places.room_for, (second, third, fourth)))
    places.give_back(first, 1)
    places.pass_on(second)
    assert called == [second, third]
    places.tick()
    assert called == [second, third, fourth]


@pytest.mark.parametrize("seed", range(20))
def test_no_connection_is_forgotten(seed: int) -> None:
    """Whatever happens in whatever order: all requests are sent, never more at once than there are places."""
    chance = random.Random(seed)
    total = chance.choice([1, 2, 5, 32])
    places = Places(total)
    everybody = shares(places, chance.choice([1, 3, 40]))
    left = {share: chance.randint(0, 30) for share in everybody}
    awake = dict.fromkeys(everybody)
    under_way: list[Share] = []
    sent: Counter[Share] = Counter()
    for share in everybody:
        share.wake = lambda share=share: awake.setdefault(share)  # type: ignore[misc]
    expected = dict(left)
    while any(left.values()) or under_way:
        if awake and (not under_way or chance.random() < 0.7):
            share = chance.choice(list(awake))
            del awake[share]
            if not left[share]:
                places.pass_on(share)
            while left[share] and (room := places.room_for(share)):
                many = min(room, left[share])
                places.take(share, many)
                left[share] -= many
                under_way += [share] * many
        else:
            assert under_way, f"nobody is awake, and {sum(left.values())} requests are left"
            share = under_way.pop(chance.randrange(len(under_way)))
            places.give_back(share, 1)
            sent[share] += 1
            # Its driver looks for more when one of its requests ends.
            awake.setdefault(share)
        assert len(under_way) <= total
    assert sent == Counter({share: many for share, many in expected.items() if many})


def test_the_limits_of_a_connection_need_a_place_for_each_request() -> None:
    """Through everything that a request can come to: an answer, a failure, no trace."""
    places = Places(2)
    traffics = []
    for _ in range(2):
        share = Share()
        places.join(share)

        def limiter(*limits: object, share: Share = share) -> SharedLimiter:
            return SharedLimiter(*limits, places=places, share=share)  # type: ignore[arg-type]

        how = FetchSettings(concurrency=2, throttle=Throttle(adaptive=False))
        traffics.append(Traffic(how, is_answered=True, limiter=limiter))
    first, second = traffics
    for end in (
        lambda: first.answered([5.0], 1.0),
        lambda: first.end(Outcome(Kind.NULL), attempt=1, ms=5.0, now_s=1.0),
        first.abandon,
        lambda: first.leave(5.0, 1.0, is_answered=True),
    ):
        assert first.wait_s(1.0) == second.wait_s(1.0) == 0.0
        assert first.room == 1
        first.begin(1.0)
        second.begin(1.0)
        assert first.wait_s(1.0) == second.wait_s(1.0) == float("inf")
        end()
        second.abandon()
