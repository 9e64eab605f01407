"""Drivers: what sends all of the work. They differ in how they send, and in nothing else."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NotRequired, TypedDict, Unpack

import gevent

from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.settlement import Settlement, SettlementRules, Write
from airflow_fanout.engine.waiting import InFlightWatch
from airflow_fanout.engine.work import WorkQueue
from airflow_fanout.launch.stop_reasons import StopReason
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import FetchSettings

# When a driver stops by itself, requests under way may still end for so long.
GRACE_S = 2.0


class PartEnded(Exception):
    """A greenlet of the engine's own was killed, by code that kills greenlets that aren't its own."""

    def __str__(self) -> str:
        return "a function of the report killed greenlets of the engine"


class Parts(TypedDict):
    """What every driver is given.

    `work` gives out the parameters, `traffic` says when a request may be sent, `settings` how to fetch, `meter` counts,
    `write` takes the record of each parameter that has ended, and `uniform` draws evenly from a range, for the waits
    before retries. `hide` takes secrets out of what is kept of a failure. `settlement` makes what settles the requests,
    if that isn't the usual settlement.
    """

    work: WorkQueue
    traffic: Traffic
    settings: FetchSettings
    meter: Meter
    write: Write
    uniform: NotRequired[Callable[[float, float], float]]
    hide: NotRequired[Callable[[str], str]]
    settlement: NotRequired[Callable[..., Settlement]]


class Driver(ABC):
    """Fetches all of the work.

    :param repeatable: whether sending a request twice does no harm.
    :param parts: what every driver is given.
    """

    def __init__(self, *, repeatable: bool, **parts: Unpack[Parts]) -> None:
        self._work = parts["work"]
        self._traffic = parts["traffic"]
        self._settings = parts["settings"]
        self._meter = parts["meter"]
        rules = SettlementRules(
            settings=self._settings,
            repeatable=repeatable,
            uniform=parts.get("uniform", random.uniform),
            hide=parts.get("hide", str),
        )
        self._settlement: Settlement = parts.get("settlement", Settlement)(
            work=self._work,
            traffic=self._traffic,
            rules=rules,
            meter=self._meter,
            write=parts["write"],
            stop=self.stop,
        )
        self._waiting = InFlightWatch(
            work=self._work, traffic=self._traffic, meter=self._meter, total_s=self._settings.timeouts.total_s
        )
        self.stop_reason: StopReason | None = None
        # Asked before it stops: other drivers may be reason enough to wait.
        self.may_stop: Callable[[StopReason], bool] = lambda _reason: True

    @abstractmethod
    def run(self) -> None:
        """Fetch until all is done or the driver is stopped; an error of the engine's own is raised here."""

    @abstractmethod
    def wake(self) -> None:
        """Look at the work again: there may be none left, or requests may be sent that had to wait."""

    @abstractmethod
    def _give_up(self) -> None:
        """End what is under way; it leaves no record."""

    def stop(self, reason: StopReason, grace_s: float = GRACE_S) -> None:
        """Take no more work, and give up what is under way after the grace, in seconds; the first reason counts."""
        if self.stop_reason is not None or not self.may_stop(reason):
            return
        self.stop_reason = reason
        self._work.stop()
        self.wake()
        gevent.spawn_later(grace_s, self._give_up)

    def progress(self) -> Progress:
        """Return what is done so far."""
        return self._meter.progress(
            in_flight=self._traffic.in_flight,
            waiting=self._work.waiting,
            begun=self._work.begun,
            limits=self._traffic.state(time.monotonic()),
            wait=self._waiting.wait,
        )

    def tick(self) -> None:
        """Look at what only time brings about; called about once a second."""
        self._settlement.look()
        self._meter.tick()
        self._waiting.look(time.monotonic())
