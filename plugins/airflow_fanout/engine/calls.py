"""Calls of an author's function: on the board while they run, and never continued in a copy of the engine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import gevent
from greenlet import settrace

from airflow_fanout.codec import Json
from airflow_fanout.engine.refusals import refuse_all
from airflow_fanout.engine.same_code import import_the_same
from airflow_fanout.engine.waits import wait_for_processes
from airflow_fanout.engine.work import Task
from airflow_fanout.launch.board import NOBODY, Board
from airflow_fanout.launch.job import Job
from airflow_fanout.model.outcome import Outcome

Returned = TypeVar("Returned")

# Greenlets inherit gevent's `spawn_tree_locals` from the one that spawns them: this is whose call they belong to.
_INDEX = "airflow_fanout.index"
_NOBODYS: dict[str, Any] = {}
_ENDED_COPY = (
    b"A copy of the engine, forked by a function of the report, was ended when it would have gone on with the engine's "
    b"own work. Start programs by subprocess.run([...]), without a preexec_fn that waits.\n"
)


class Calls:
    """Makes calls, each by the greenlet that asks for it, and writes down which of them are under way and running.

    :param board: where the parent looks.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._process = os.getpid()

    def watch(self) -> None:
        """From now on write down at each switch of greenlets whose call has the processor."""
        # A hot path: it has everything at hand.
        run, process, getpid, hub = self._board.run, self._process, os.getpid, gevent.get_hub()

        def switched(_event: str, greenlets: tuple[Any, Any]) -> None:
            # Before anything of another parameter's goes on in a copy of the engine: its greenlets are those of all
            # parameters, and its connections, too.
            if getpid() != process:
                _end_copy()
            target = greenlets[1]
            belongs = None if target is hub else getattr(target, "spawn_tree_locals", None)
            run(belongs.get(_INDEX, NOBODY) if belongs else NOBODY)

        settrace(switched)

    def make(self, task: Task, function: Callable[[Json], Outcome]) -> Outcome:
        """Make a task's call, and return what it returns."""
        return self.make_within(task.index, lambda: function(task.parameter))

    def make_within(self, index: int, step: Callable[[], Returned]) -> Returned:
        """Return what a step of the engine's own returns in which functions of a parameter's may be called."""
        # A dictionary of its own for each call: what an earlier one has spawned keeps that one's.
        current = gevent.getcurrent()
        current.spawn_tree_locals = {**(getattr(current, "spawn_tree_locals", None) or _NOBODYS), _INDEX: index}
        place = self._board.begin(index, time.monotonic())
        self._board.run(index)
        try:
            return step()
        finally:
            if os.getpid() != self._process:
                _end_copy()
            self._board.run(NOBODY)
            self._board.end(place)
            current.spawn_tree_locals = _NOBODYS


def _end_copy() -> NoReturn:
    """End this process, a copy of the engine that a call has made, by whatever way it has forked."""
    os.write(2, _ENDED_COPY)
    os._exit(os.EX_SOFTWARE)


def calls_of(job: Job, board: Board) -> Calls:
    """Return what makes calls of a job's functions, after this process is ready for one."""
    calls = Calls(board)
    if job.has_functions:
        import_the_same(job.digests)
        refuse_all()
        wait_for_processes()
        calls.watch()
    return calls
