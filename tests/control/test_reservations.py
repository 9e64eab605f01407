from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_fanout.control.budget_state import Override, Rank
from airflow_fanout.control.frames import MICRO
from tests.control.budget_world import BEGIN_US, Sender, World, most_asks_per_s, per_s, windows

ENDLESS = 10**9
RATES = [0.5, 100, 600, 3_000]


def comings_and_goings(per_s: float, seed: int) -> World:
    """Return a budget under which eight shards of two DAGs and a backfill of three days come and go."""
    uniform = random.Random(seed).uniform
    world = World(per_s)
    needs = max(2, round(6 * per_s))
    world.add(*(Sender(f"a{shard}", needs, queue="a", joins_s=uniform(0, 2)) for shard in range(4)))
    world.add(*(Sender(f"b{shard}", 2 * needs, queue="b", joins_s=uniform(4, 8)) for shard in range(4)))
    world.add(*(Sender(f"c{day}", 2 * needs, queue="a", rank=Rank.BACKFILL, joins_s=uniform(0, 4)) for day in range(3)))
    return world


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", RATES)
def test_the_whole_budget_is_used_while_shards_come_and_go(rate: float, seed: int) -> None:
    """In every window of five seconds in which somebody wants more: at least 93 and at most 102 %, a request aside."""
    world = comings_and_goings(rate, seed)
    needed = sum(sender.needs for sender in world.senders)

    world.run(1.2 * needed / rate + 20)

    assert len(world.sent) == needed
    rates = windows(world.sent, 4, needed / rate - 2)
    assert min(rates) >= 0.93 * rate - 0.2
    assert max(rates) <= 1.02 * rate + 0.2


@pytest.mark.parametrize("clients", [1, 2, 8, 40])
def test_the_number_of_questions_does_not_grow_with_the_clients(clients: int) -> None:
    """Four per second, which are eight operations of MongoDB's, once all have joined."""
    world = World(100)
    world.add(*(Sender(f"{number}", ENDLESS, joins_s=number / 10) for number in range(clients)))

    world.run(60)

    assert most_asks_per_s(moment for moment in world.asks if moment > 5) <= 4.4
    assert min(windows(world.sent, 5, 59)) >= 99.8


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(RATES),
    st.lists(
        st.builds(
            Sender,
            st.uuids().map(str),
            st.integers(0, 3_000),
            queue=st.sampled_from("abc"),
            rank=st.sampled_from(Rank),
            weight=st.integers(1, 10_000),
            joins_s=st.floats(0, 20),
            per_s=st.none() | st.floats(0.1, 5_000),
            dies_s=st.none() | st.floats(1, 30),
        ),
        min_size=1,
        max_size=12,
    ),
)
def test_no_window_ever_has_more_than_the_rate(rate: float, senders: list[Sender]) -> None:
    """Whoever comes, goes, dies or can't send as fast: requests are at least as far apart as the rate says."""
    world = World(rate)
    world.add(*senders)

    world.run(40)

    sent = world.sent
    assert all(later - earlier > 0.999 / rate - 2e-6 for earlier, later in pairwise(sent))


def test_two_dags_of_the_same_weight_have_equal_shares() -> None:
    """Within five percent, although one has seven shards and the other one; and whoever began first."""
    world = World(100)
    world.add(*(Sender(f"a{shard}", ENDLESS, queue="a", joins_s=shard / 10) for shard in range(7)))
    world.add(Sender("b", ENDLESS, queue="b", joins_s=2.3))

    world.run(65)

    by_queue = {
        queue: sum(
            moment > BEGIN_US + 5 * MICRO
            for sender in world.senders
            if sender.queue == queue
            for moment in world.sent_by(sender)
        )
        for queue in "ab"
    }
    assert by_queue["b"] == pytest.approx(by_queue["a"], rel=0.05)


def test_a_dag_of_three_times_the_weight_has_three_times_the_share() -> None:
    """By the weights that its connection has."""
    world = World(100)
    heavy, light = Sender("a", ENDLESS, queue="a", weight=3_000), Sender("b", ENDLESS, queue="b")
    world.add(heavy, light)

    world.run(60)

    assert len(world.sent_by(heavy)) == pytest.approx(3 * len(world.sent_by(light)), rel=0.05)


@pytest.mark.parametrize("shards", [1, 4, 8, 32])
def test_a_nightly_fetch_is_hardly_slower_beside_a_backfill_of_ten_days(shards: int) -> None:
    """At most 1.2 times as long as alone, with 6,000 requests, however many shards each run has.

    No second is lost, not even when the backfill goes on, and MongoDB is asked no more often.
    """
    world = World(100)
    days = range(10 * shards)
    backfill = [Sender(f"day {day}", ENDLESS, rank=Rank.BACKFILL, joins_s=20 * day / len(days)) for day in days]
    nightly = [Sender(f"{shard}", 6_000 // shards, joins_s=30 + 0.4 * shard) for shard in range(shards)]
    world.add(*backfill, *nightly)

    world.run(140)

    sent = [moment for sender in nightly for moment in world.sent_by(sender)]
    assert len(sent) >= 5_980
    assert (max(sent) - BEGIN_US) / MICRO - 30 <= 1.2 * 60
    assert min(windows(world.sent, 5, 139)) >= 93
    assert most_asks_per_s(moment for moment in world.asks if moment > 45) <= 5


def test_who_waits_holds_nothing_and_asks_rarely() -> None:
    """Of forty shards of a DAG a few send at a time, until they have sent all; together they use the whole rate."""
    world = World(100)
    shards = [Sender(f"{shard}", 600, joins_s=shard / 4) for shard in range(40)]
    world.add(*shards)
    world.run(40)
    waiting = [name for name, client in world.state.clients.items() if not client.turn_us]
    turns = len(world.state.clients) - len(waiting)
    asked = [answer for sender, answer in world.answers if sender.name in waiting]
    world.run(250)

    assert 4 <= turns <= 10
    assert waiting
    assert max(answer.asks_us - answer.now_us for answer in asked) > 10 * MICRO
    assert [len(world.sent_by(shard)) for shard in shards] == [600] * 40
    assert max(world.sent) <= 241.5


def test_nobody_of_a_queue_waits_for_ever() -> None:
    """A client that has much to send gives its turn to the next after a minute."""
    world = World(100)
    shards = [Sender(f"{shard}", ENDLESS, joins_s=shard / 4) for shard in range(16)]
    world.add(*shards)

    world.run(60 * 5)

    assert min(len(world.sent_by(shard)) for shard in shards) > 500
    assert min(windows(world.sent, 5, 299)) >= 99


def test_who_needs_few_requests_does_not_wait_for_its_turn() -> None:
    """Such as a list that is read page by page, while the shards of another run of the DAG send."""
    world = World(100)
    world.add(*(Sender(f"{shard}", ENDLESS, joins_s=shard / 4) for shard in range(40)))
    few = Sender("list", 5, joins_s=30)
    world.add(few)

    world.run(40)

    assert few.ended_s is not None
    assert few.ended_s < 36


def test_as_many_have_their_turn_as_can_use_the_rate() -> None:
    """Of sixty clients that send three requests per second each, more than thirty send."""
    world = World(100)
    world.add(*(Sender(f"{number}", ENDLESS, per_s=3, joins_s=number / 4) for number in range(60)))

    world.run(90)

    assert sum(client.turn_us > 0 for client in world.state.clients.values()) in range(30, 40)
    assert min(windows(world.sent, 50, 89)) >= 93


def test_what_a_higher_rank_cannot_use_is_left_to_the_lower_ones() -> None:
    """A nightly fetch that is limited by its concurrency to 60 requests per second leaves 40."""
    world = World(100)
    nightly, backfill = Sender("n", ENDLESS, per_s=60), Sender("b", ENDLESS, rank=Rank.BACKFILL)
    world.add(nightly, backfill)

    world.run(60)

    assert len(world.sent_by(nightly)) == pytest.approx(60 * 60, rel=0.03)
    assert len(world.sent_by(backfill)) == pytest.approx(40 * 60, rel=0.05)


def test_who_dies_costs_the_others_its_lease_only() -> None:
    """Of eight clients one dies: the rest has its share within five seconds, and no window is below 93 %."""
    world = World(100)
    clients = [Sender(f"{number}", ENDLESS, joins_s=number / 10) for number in range(8)]
    clients[3].dies_s = 20.0
    world.add(*clients)

    world.run(40)

    assert min(windows(world.sent, 5, 39)) >= 93
    assert min(windows(world.sent, 25, 39)) >= 99.8
    assert len(world.state.clients) == 7


@pytest.mark.parametrize("clients", [2, 8, 30])
def test_slots_are_spread_over_the_clients(clients: int) -> None:
    """No client sends a second's requests in a few moments: an engine that has to would be late for many of them."""
    world = World(100)
    world.add(*(Sender(f"{number}", ENDLESS, joins_s=number / 4) for number in range(clients)))
    world.run(60)
    turns = min(clients, 8)
    by_client = [[(moment - BEGIN_US) / MICRO for moment in world.sent_by(sender)] for sender in world.senders]

    assert max(per_s(moments, second, second + 1) for moments in by_client for second in range(20, 58)) <= 220 / turns


def test_a_pause_that_one_has_heard_of_holds_for_all() -> None:
    """Nobody gets a slot before its end, and then all go on with the whole rate."""
    world = World(100)
    clients = [Sender(f"{number}", ENDLESS, joins_s=number / 10) for number in range(3)]
    world.add(*clients)
    world.run(10)

    answer = world.ask(clients[0], BEGIN_US + 10 * MICRO, pause_us=20 * MICRO)
    asked = len(world.answers)
    world.run(50)

    end_us = BEGIN_US + 30 * MICRO
    assert answer.paused_until_us == end_us
    later = [each for _, each in world.answers[asked:]]
    assert {each.paused_until_us for each in later} == {end_us}
    assert min(slots.begin_us for each in [answer, *later] for slots in each.slots) >= end_us
    # What the API has refused says that it takes a little less.
    assert per_s(world.sent, 30, 49) == pytest.approx(98, rel=0.01)


def test_an_api_that_asks_for_pauses_gets_fewer_requests_from_all() -> None:
    """Each pause lowers the rate by five percent, and what is refused at the same moment says nothing new."""
    world = World(100)
    clients = [Sender(f"{number}", ENDLESS, joins_s=number / 10) for number in range(3)]
    world.add(*clients)
    for second in (20, 30, 40):
        world.run(second)
        for client in clients:
            world.ask(client, BEGIN_US + second * MICRO, pause_us=MICRO)
    slowed = world.answers[-1][1].limits.rate_micro / MICRO
    world.run(300)

    assert slowed == pytest.approx(100 * (((0.95 + 0.01) * 0.95) + 0.01) * 0.95, rel=0.001)
    assert per_s(world.sent, 50, 60) == pytest.approx(89, rel=0.02)
    assert per_s(world.sent, 200, 299) == pytest.approx(100, rel=0.001)


@pytest.mark.parametrize("rate", [10, 250])
def test_an_operator_changes_the_rate_of_running_fetches(rate: int) -> None:
    """Within a lease, for all of them; and back again when that is over."""
    world = World(100)
    world.add(*(Sender(f"{number}", ENDLESS, joins_s=number / 10) for number in range(4)))
    world.run(10)
    world.override = Override(rate_micro=rate * MICRO)
    world.run(30)
    world.override = None
    world.run(50)

    assert per_s(world.sent, 5, 10) == pytest.approx(100, rel=0.01)
    assert per_s(world.sent, 13, 30) == pytest.approx(rate, rel=0.02)
    assert per_s(world.sent, 33, 50) == pytest.approx(100, rel=0.02)


def test_the_lowest_rate_of_all_connections_counts() -> None:
    """Two connections to one API that say different things don't send more than the careful one allows."""
    careful, careless = World(50), World(100)
    careful.run(0)
    answer = careful.ask(Sender("a", ENDLESS), BEGIN_US)
    careless.state = careful.state
    other = careless.ask(Sender("b", ENDLESS), BEGIN_US)

    assert answer.limits.rate_micro == other.limits.rate_micro == 50 * MICRO


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 20),
    st.lists(
        st.builds(
            Sender,
            st.uuids().map(str),
            st.integers(0, 3_000),
            queue=st.sampled_from("abc"),
            rank=st.sampled_from(Rank),
            joins_s=st.floats(0, 20),
            dies_s=st.none() | st.floats(1, 30),
            concurrency=st.integers(1, 30),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_requests_at_once_never_exceed_the_limit(limit: int, senders: list[Sender]) -> None:
    """Not even while shares move: a client keeps what it has until it says that it has less."""
    world = World(100, at_once=limit)
    world.add(*senders)
    has: dict[str, int] = {}
    for second in range(80):
        world.run(second / 2)
        present = set(world.state.clients)
        has = {sender.name: sender.at_once or 0 for sender in world.senders if sender.name in present}

        assert sum(has.values()) <= limit


def test_requests_at_once_are_shared_and_handed_on() -> None:
    """Four clients have ten each; when two have left, the others have twenty."""
    world = World(1_000, at_once=40)
    short = [Sender(f"s{number}", 5_000, joins_s=number / 10) for number in range(2)]
    longer = [Sender(f"l{number}", ENDLESS, joins_s=number / 10) for number in range(2)]
    world.add(*short, *longer)

    world.run(10)
    shared = [sender.at_once for sender in world.senders]
    world.run(60)

    assert shared == [10, 10, 10, 10]
    assert [sender.at_once for sender in longer] == [20, 20]


def test_a_few_requests_at_once_are_used_by_many_clients() -> None:
    """Ten places, twelve clients: a few have several each, and hand them on; most of the time, they are somebody's."""
    world = World(1_000, at_once=10)
    world.add(*(Sender(f"{number}", ENDLESS, joins_s=number / 4) for number in range(12)))
    used, had = [], set[str]()
    for second in range(10, 800):
        world.run(second)
        has = {sender.name: sender.at_once for sender in world.senders if sender.at_once}
        used.append(sum(has.values()))
        had |= set(has)

    assert max(used) <= 10
    assert sum(used) / len(used) >= 9
    assert len(had) == 12


@pytest.mark.parametrize("clients", [1, 20])
def test_who_sends_slowly_has_slots_all_over_its_lease(clients: int) -> None:
    """A client that can send five per second has five in each second, and not a whole lease's at its beginning."""
    world = World(1_000)
    world.add(*(Sender(f"{number}", ENDLESS, per_s=5) for number in range(clients)))
    world.run(60)
    moments = [(moment - BEGIN_US) / MICRO for moment in world.sent_by(world.senders[0])]

    assert max(windows(moments, 10, 50, 1.0)) <= 9
    assert min(windows(moments, 10, 50, 2.0)) >= 2


def test_the_last_slots_are_still_to_come() -> None:
    """A client that needs one slot gets one that it can use, wherever in a frame it asks; what is over, nobody can."""
    world = World(100)
    asking = Sender("a", 1)
    world.add(asking)
    for step_us in range(0, 3 * MICRO, 77_777):
        answer = world.ask(asking, BEGIN_US + step_us)
        moments = [moment for slots in answer.slots for moment in slots.moments()]
        assert [moment for moment in moments if moment >= BEGIN_US + step_us] != []


def test_what_is_to_come_stays_as_far_away_if_the_clock_is_put_back() -> None:
    """A server whose clock is an hour behind takes over: nobody waits for an hour."""
    world = World(100)
    sender = Sender("a", ENDLESS)
    first = world.ask(sender, BEGIN_US)
    hour_us = 3_600 * MICRO

    second = world.ask(sender, BEGIN_US - hour_us)
    third = world.ask(sender, second.asks_us)

    assert second.asks_us == BEGIN_US + MICRO - hour_us
    last_us = max(slots.begin_us + slots.length_us for slots in first.slots)
    assert min(slots.begin_us for slots in third.slots) == last_us - hour_us


@pytest.mark.parametrize("number", [4, 40])
def test_nothing_is_given_while_others_may_still_send_what_they_may_offline(number: int) -> None:
    """After a time in which nobody could ask, the first slots begin when all have asked again."""
    world = World(100, offline_per_s=100)
    clients = [Sender(f"{place}", ENDLESS) for place in range(number)]
    for client in clients:
        world.ask(client, BEGIN_US)

    answers = [world.ask(client, BEGIN_US + (60 + place) * MICRO) for place, client in enumerate(clients[:4])]

    begin_us = BEGIN_US + 63 * MICRO
    assert [answer.from_us for answer in answers] == [begin_us] * min(4, number)
    assert min(slots.begin_us for answer in answers for slots in answer.slots) == begin_us
