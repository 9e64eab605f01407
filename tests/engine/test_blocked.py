"""Calls of a function that keep the whole engine from going on, or end its process."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.engines import MOST_RESTARTS, Engines
from airflow_fanout.launch.errors import EngineBlocked, EngineFailed
from airflow_fanout.launch.messages import Ended, Failed, ProgressReport, Warned
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Retry, Timeouts
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.journal import read_records
from tests.engine.harness import frozen, job, journal, settings

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_fanout.launch.job import Job
    from airflow_fanout.model.outcome import Record
    from airflow_fanout.model.progress import Progress

BLOCK_S = 2.5
COUNT = 160


def hold_the_interpreter() -> None:
    """Sleep in a C call that keeps the interpreter: no thread of Python's runs."""
    import ctypes

    ctypes.PyDLL(None).sleep(600)


def sleep_in_c() -> None:
    """Sleep in a C call that lets go of the interpreter, and not of gevent's loop."""
    import ctypes

    ctypes.CDLL(None).sleep(600)


def spin() -> None:
    """Never let go of the processor."""
    while True:
        pass


def match() -> None:
    """Match a pattern that takes for ever."""
    import re

    re.match(r"(a+)+$", "a" * 60 + "b")


def block_in_a_greenlet() -> None:
    """Block in a greenlet that the call has spawned."""
    import gevent

    gevent.spawn(gevent.spawn, spin).join()
    gevent.sleep(600)


def block_in_a_thread() -> None:
    """Keep the interpreter in a thread of the operating system's, which no call is known to have started."""
    import gevent

    gevent.get_hub().threadpool.spawn(hold_the_interpreter)
    gevent.sleep(600)


def exit_at_once() -> None:
    """End the process."""
    os._exit(3)


def crash() -> None:
    """Read where nothing is."""
    import ctypes

    ctypes.string_at(0)


def act(session: object, number: int, *, bad: dict[int, object], calls: str) -> int:
    """Do something bad for some numbers; for all others wait a little, and note that the call was made."""
    import time
    from pathlib import Path

    with Path(calls).open("a") as file:
        print(number, file=file)
    if number in bad:
        # The journal is written each half second: what has ended at first is in it by then.
        time.sleep(1.5)
        bad[number]()  # type: ignore[operator] # a function
    time.sleep(0.05)
    return number


class Fetched:
    """A fetch by as many engines as its settings say, to its end."""

    def __init__(self, folder: Path, bad: dict[int, object], *, count: int = COUNT, processes: int = 1) -> None:
        self.calls = folder / "calls"
        how = settings(
            4, retry=Retry(max_attempts=3, last_pass=True), timeouts=Timeouts(block_s=BLOCK_S), processes=processes
        )
        self.todo: Job = job(frozen(folder, range(count)), partial(act, bad=bad, calls=str(self.calls)), how=how)
        self.warnings: list[str] = []
        self.pids: list[int] = []

    def run(self) -> Progress:
        """Fetch, and raise what the fetch ends with."""
        with Engines(self.todo) as fleet:
            last = None
            for said in fleet.listen():
                self.pids += [pid for pid in fleet.pids if pid not in self.pids]
                if isinstance(said, Warned):
                    # On a busy machine an engine takes its time to start, and that is told, too.
                    self.warnings += [] if "has been starting" in said.text else [said.text]
                elif isinstance(said, Ended | Failed):
                    last = said
            return progress_at_end(last, fleet)

    @property
    def records(self) -> dict[int, Record]:
        """The one record of each parameter."""
        records = list(read_records(journal(list_at(self.todo.directory))))
        assert len({record.index for record in records}) == len(records), "two records for one parameter"
        return {record.index: record for record in records}

    @property
    def made(self) -> Counter[int]:
        """How often each parameter's call was made."""
        return Counter(map(int, self.calls.read_text().split()))


def blocked(fetched: Fetched, *numbers: int) -> None:
    """Assert that these parameters have blocked the engine, and that all others have been fetched."""
    progress = fetched.run()
    assert (progress.total, progress.kinds) == (COUNT, {"ok": COUNT - len(numbers), "error": len(numbers)})
    for number in numbers:
        failure = fetched.records[number].failure
        assert failure is not None
        assert re.match(r"the function blocked the engine for [2-9] s \(timeouts.block_s\)", failure.message)
    assert len(fetched.pids) == 1 + len(numbers)
    # What is in the journal isn't asked for again, nor is what has blocked the engine.
    assert {fetched.made[index] for index in (0, 1, 2, numbers[0])} == {1}


def test_a_call_that_blocks_the_engine_is_the_error_of_its_parameter(tmp_path: Path) -> None:
    """The parent says which call is running, kills the engine after the limit, and all others are fetched."""
    fetched = Fetched(tmp_path, {7: hold_the_interpreter})
    blocked(fetched, 7)
    told, restarted = fetched.warnings
    assert "the call of parameter 7 (…) is running and blocks all others. Calls that wait for it: 3 (of" in told
    assert "Parameter 7 (…): the function blocked the engine" in restarted
    assert "The engine is restarted." in restarted


@pytest.mark.long
def test_whatever_blocks_the_engine(tmp_path: Path) -> None:
    """A C call that lets go of the interpreter, a loop, a pattern, a greenlet of a greenlet: each costs one restart."""
    blocked(Fetched(tmp_path, {7: sleep_in_c, 47: spin, 87: match, 127: block_in_a_greenlet}), 7, 47, 87, 127)


def test_a_call_that_ends_the_engine_is_the_error_of_its_parameter(tmp_path: Path) -> None:
    """A call that ends the process costs one engine, not one for each try of the task, and its outcome names it."""
    fetched = Fetched(tmp_path, {7: exit_at_once, 30: crash}, processes=2)
    progress = fetched.run()
    assert (progress.total, progress.kinds) == (COUNT, {"ok": COUNT - 2, "error": 2})
    for index, how in ((7, "exited with code 3"), (30, "was killed by SIGSEGV")):
        failure = fetched.records[index].failure
        assert failure is not None
        assert failure.message == f"the function ended the engine's process, which {how}."
        assert fetched.made[index] == 1


@pytest.mark.long
def test_engines_are_restarted_a_few_times_only(tmp_path: Path) -> None:
    """A function that ends its engine for every parameter ends the fetch, which isn't retried."""
    fetched = Fetched(tmp_path, dict.fromkeys(range(COUNT), exit_at_once))
    with pytest.raises(EngineBlocked, match=r"have ended 6 engines of this try, .* Fix the function") as caught:
        fetched.run()
    assert not caught.value.retry
    assert len(fetched.pids) == MOST_RESTARTS + 1


@pytest.mark.long
def test_a_block_by_nobody_known_ends_the_fetch_with_words(tmp_path: Path) -> None:
    """Where nobody knows which call it is, no parameter is blamed: the try fails, and names those under way."""
    fetched = Fetched(tmp_path, {7: block_in_a_thread})
    with pytest.raises(EngineFailed, match=r"no function's call is known to be running. Calls that wait for it: \d"):
        fetched.run()
    assert Counter(record.kind for record in fetched.records.values()).keys() <= {Kind.OK}


def test_an_engine_that_was_stopped_is_not_blocked(tmp_path: Path) -> None:
    """An engine that a signal has stopped for longer than the limit goes on afterwards, and so does its fetch."""
    fetched = Fetched(tmp_path, {}, count=400)
    stopped = False
    with Engines(fetched.todo) as fleet:
        last = None
        for said in fleet.listen():
            if isinstance(said, ProgressReport) and not stopped:
                [engine] = fleet.pids
                os.kill(engine, signal.SIGSTOP)
                stopped = True
                resume = time.monotonic() + 2 * BLOCK_S
                _later(engine, resume)
            last = said
        progress = progress_at_end(last, fleet)
    assert progress.kinds == {"ok": 400}
    assert fleet.pids == [engine]


def _later(pid: int, moment_s: float) -> None:
    import threading

    timer = threading.Timer(moment_s - time.monotonic(), os.kill, (pid, signal.SIGCONT))
    timer.daemon = True
    timer.start()
