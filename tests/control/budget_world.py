"""Clients of a request budget in virtual time: they ask when they are asked to, and send in their slots."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from airflow_fanout.control.allotment import allot
from airflow_fanout.control.allowance import Allowance
from airflow_fanout.control.budget_state import BudgetAsk, BudgetState, Limits, Override, Rank, Reservation
from airflow_fanout.control.frames import MICRO

BEGIN_US = 1_700_000_000 * MICRO


@dataclass
class Sender:
    """A client: it joins, has requests to send, and leaves when all are sent.

    :param needs: how many requests it has.
    :param per_s: the fastest that it can send; by default as fast as it may.
    :param dies_s: when it stops without a word.
    """

    name: str
    needs: int
    queue: str = "dag"
    rank: Rank = Rank.NIGHTLY
    weight: int = 1_000
    joins_s: float = 0.0
    per_s: float | None = None
    dies_s: float | None = None
    concurrency: int = 32
    sent: list[int] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    at_once: int | None = 0
    ended_s: float | None = None


class World:
    """A budget and its clients; `sent` has the moments of all requests, in seconds since the beginning."""

    def __init__(
        self,
        per_s: float,
        *,
        at_once: int | None = None,
        offline_per_s: float = 0.0,
        allowance: Allowance | None = None,
    ) -> None:
        rate, offline = round(per_s * MICRO), round(offline_per_s * MICRO)
        self.limits = Limits(rate_micro=rate, at_once=at_once, offline_micro=offline)
        self.allowance = allowance
        self.state = BudgetState()
        self.override: Override | None = None
        self.asks: list[float] = []
        self.answers: list[tuple[Sender, Reservation]] = []
        self.senders: list[Sender] = []
        self._now_us = BEGIN_US
        self._events: list[tuple[int, int, Sender]] = []
        self._numbers = count()

    def add(self, *senders: Sender) -> None:
        """Let clients join at their moments."""
        for sender in senders:
            self.senders.append(sender)
            self._at(BEGIN_US + round(sender.joins_s * MICRO), sender)

    def run(self, seconds: float) -> None:
        """Let time pass until this number of seconds since the beginning."""
        while self._events and self._events[0][0] <= BEGIN_US + seconds * MICRO:
            now_us, _, sender = heapq.heappop(self._events)
            if sender.dies_s is None or now_us < BEGIN_US + sender.dies_s * MICRO:
                self._ask(sender, now_us)
        self._now_us = BEGIN_US + round(seconds * MICRO)

    def ask(self, sender: Sender, now_us: int, pause_us: int = 0) -> Reservation:
        """Ask the budget once for a client."""
        sender.sent += [moment for moment in sender.held if moment <= now_us]
        sender.held = [moment for moment in sender.held if moment > now_us]
        needs = sender.needs - len(sender.sent) - len(sender.held)
        leaves = not needs and not sender.held
        ask = BudgetAsk(
            client=sender.name,
            rank=sender.rank,
            queue=sender.queue,
            weight=sender.weight,
            limits=self.limits,
            wants_micro=self.limits.rate_micro if sender.per_s is None else round(sender.per_s * MICRO),
            needs=needs,
            wants_at_once=sender.concurrency,
            has_at_once=sender.at_once or 0,
            pause_us=pause_us,
            leaves=leaves,
            allowance=self.allowance,
        )
        self.state, answer = allot(self.state, ask, now_us, self.override)
        self.asks.append((now_us - BEGIN_US) / MICRO)
        self.answers.append((sender, answer))
        return answer

    def _ask(self, sender: Sender, now_us: int) -> None:
        answer = self.ask(sender, now_us)
        sender.at_once = answer.at_once
        moments = (moment for slots in answer.slots for moment in slots.moments())
        sender.held = sorted([*sender.held, *(moment for moment in moments if moment >= now_us)])
        if sender.name in self.state.clients:
            self._at(answer.asks_us, sender)
        else:
            sender.ended_s = (now_us - BEGIN_US) / MICRO

    def _at(self, moment_us: int, sender: Sender) -> None:
        heapq.heappush(self._events, (moment_us, next(self._numbers), sender))

    @property
    def sent(self) -> list[float]:
        """When requests were sent by all clients, in order."""
        moments = sorted(moment for sender in self.senders for moment in self.sent_by(sender))
        return [(moment - BEGIN_US) / MICRO for moment in moments]

    def sent_by(self, sender: Sender) -> list[int]:
        """Return when a client has sent, until now or its death."""
        last_us = self._now_us if sender.dies_s is None else BEGIN_US + round(sender.dies_s * MICRO)
        return [moment for moment in (*sender.sent, *sender.held) if moment < min(last_us, self._now_us)]


def windows(moments: list[float], from_s: float, until_s: float, length_s: float = 5.0) -> list[float]:
    """Return the requests per second of each window of a length, one every tenth of a second."""
    steps = range(int(from_s * 10), int((until_s - length_s) * 10) + 1)
    return [per_s(moments, step / 10, step / 10 + length_s) for step in steps]


def per_s(moments: list[float], from_s: float, until_s: float) -> float:
    """Return the requests per second between two moments."""
    return (bisect_left(moments, until_s) - bisect_left(moments, from_s)) / (until_s - from_s)


def most_asks_per_s(asks: Iterable[float], length_s: float = 5.0) -> float:
    """Return the most questions per second in any window."""
    ordered = sorted(asks)
    return max(bisect_left(ordered, first + length_s) - place for place, first in enumerate(ordered)) / length_s
