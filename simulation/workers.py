"""Airflow's workers in virtual time: each runs some tasks at once; workers die, and others take over."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from simulation.world import World

# How long Airflow waits for a task's heartbeat before another worker takes over: its own default, in seconds.
HEARTBEAT_TIMEOUT_S = 300.0
# After this time a dead worker's successor is there, in seconds.
SUCCESSOR_S = 60.0


class Task(Protocol):
    """What a worker runs."""

    def begin(self, workers: Workers) -> None:
        """Begin a try; it calls `workers.free` when it has ended."""

    def kill(self) -> None:
        """End it at once."""


class Workers:
    """Runs tasks in the order in which they were submitted; `deaths` counts the workers that have died.

    :param count: how many workers there are, each with `slots` tasks at once.
    :param life_s: how long a worker lives on average, in seconds, or `None` for ever; any moment is as likely.
    """

    def __init__(self, world: World, *, count: int, slots: int, life_s: float | None = None) -> None:
        self._world, self._slots, self._life_s = world, slots, life_s
        self._waiting: deque[Task] = deque()
        # As dictionaries, because the order of a set differs from process to process.
        self._running: list[dict[Task, None]] = [{} for _ in range(count)]
        self._is_there = [True] * count
        self._later = 0
        self.deaths = 0
        for worker in range(count):
            self._plan_death(worker)

    def submit(self, task: Task) -> None:
        """Queue a task."""
        self._waiting.append(task)
        self._fill()

    def submit_later(self, task: Task, wait_s: float) -> None:
        """Queue a task after a wait, in seconds."""
        self._later += 1
        self._world.after(wait_s, self._submit_due, task)

    def _submit_due(self, task: Task) -> None:
        self._later -= 1
        self.submit(task)

    def free(self, task: Task) -> None:
        """Note that a task's try has ended."""
        del next(tasks for tasks in self._running if task in tasks)[task]
        self._fill()

    def _fill(self) -> None:
        while self._waiting:
            there = [worker for worker, is_there in enumerate(self._is_there) if is_there]
            worker = min(there, key=lambda worker: len(self._running[worker]), default=None)
            if worker is None or len(self._running[worker]) >= self._slots:
                return
            task = self._waiting.popleft()
            self._running[worker][task] = None
            task.begin(self)

    def _plan_death(self, worker: int) -> None:
        if self._life_s is not None:
            self._world.after(self._world.chance.expovariate(1 / self._life_s), self._die, worker)

    def _die(self, worker: int) -> None:
        is_idle = not (self._waiting or self._later or any(self._running))
        if is_idle:
            # All work is done: nothing more is planned, and the simulation ends.
            return
        self.deaths += 1
        self._is_there[worker] = False
        orphans, self._running[worker] = self._running[worker], {}
        for task in orphans:
            task.kill()
            self.submit_later(task, HEARTBEAT_TIMEOUT_S)
        self._world.after(SUCCESSOR_S, self._come_back, worker)

    def _come_back(self, worker: int) -> None:
        self._is_there[worker] = True
        self._plan_death(worker)
        self._fill()
