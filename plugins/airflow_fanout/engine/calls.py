"""Calls of an author's function: each in a greenlet of its own, and on the board while it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import gevent
from greenlet import greenlet, settrace

from airflow_fanout.codec import Json
from airflow_fanout.engine.board import NOBODY, Board
from airflow_fanout.outcome import Outcome

# Greenlets inherit gevent's `spawn_tree_locals` from the one that spawns them: this is whose call they belong to.
_INDEX = "airflow_fanout.index"
_ENDED_COPY = (
    b"A copy of the engine, forked by a function of the report, was ended when it would have gone on with the engine's "
    b"own work. Start programs by subprocess.run([...]), without a preexec_fn that waits.\n"
)


class Calls:
    """Makes calls, each in a greenlet of its own.

    What a call leaves behind (a kill or a time limit that strikes later) is bound to its greenlet, so it can't strike
    the call of another parameter.

    :param board: where the parent looks.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._process = os.getpid()

    def watch(self) -> None:
        """From now on write down at each switch of greenlets whose call has the processor."""
        settrace(self._switched)

    def make(self, index: int, function: Callable[[Json], Outcome], parameter: Json) -> Outcome:
        """Make a parameter's call, and return what it returns; whoever ends the caller ends the call, too."""
        call = greenlet(self._in_this_process(function))
        call.spawn_tree_locals = {_INDEX: index}
        place = self._board.begin(index, time.monotonic())
        try:
            outcome: Outcome = call.switch(parameter)
            return outcome
        except BaseException:
            call.throw()
            raise
        finally:
            self._board.end(place)
            if call.dead:
                # What is thrown into a dead greenlet is raised in its parent: the hub prints it, and goes on.
                call.parent = gevent.get_hub()

    def _in_this_process(self, function: Callable[[Json], Outcome]) -> Callable[[Json], Outcome]:
        def called(parameter: Json) -> Outcome:
            try:
                return function(parameter)
            finally:
                self._end_a_copy()

        return called

    def _switched(self, _event: str, greenlets: tuple[Any, Any]) -> None:
        self._end_a_copy()
        belongs = getattr(greenlets[1], "spawn_tree_locals", None)
        self._board.run(belongs.get(_INDEX, NOBODY) if belongs else NOBODY)

    def _end_a_copy(self) -> None:
        """End this process if it is a copy of the engine that a call has made, by whatever way it has forked.

        Its greenlets are those of all parameters, and its connections, too.
        """
        if os.getpid() != self._process:
            os.write(2, _ENDED_COPY)
            os._exit(os.EX_SOFTWARE)
