"""What a function must not do in the engine, and what it may do instead: one fetch does all of it at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Timeouts
from tests.engine.harness import frozen, job, run, settings
from tests.http.servers import Server, as_json, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.harness import Run
    from tests.http.servers import Connection, Seen

REFUSED = {
    "os.fork": "fork",
    "os.forkpty": "fork",
    "pty.fork": "fork",
    "posix.fork": "fork",
    "gevent.fork": "fork",
    "multiprocessing": "fork",
    "process pool": "fork",
    "asyncio.run": "asyncio",
    "loop": "asyncio",
    "airflow": "airflow",
    "airflow.sdk": "airflow",
}
SENTENCES = {
    "fork": ("ForkRefused", "A function can't fork the engine"),
    "asyncio": ("AsyncioRefused", "asyncio can't run in the engine"),
    "airflow": ("ImportError", "can't be imported in the engine, where there is no Airflow. Put a secret"),
}
# By whatever way a copy of the engine is made: what it would do then.
COPIES = ["sleeps", "asks", "returns", "raises", "exits", "exits at once"]
DONE_INSTEAD = ["subprocess", "shell", "spawned"]
OTHERS = 60


def refused(way: str) -> object:
    """Do something that is refused."""
    import asyncio
    import concurrent.futures
    import multiprocessing
    import os
    import posix
    import pty
    import time

    import gevent

    async def answer() -> int:
        return 3

    if way == "multiprocessing":
        child = multiprocessing.Process(target=time.sleep, args=(5,))
        child.start()
    elif way == "process pool":
        with concurrent.futures.ProcessPoolExecutor(1) as pool:
            pool.submit(time.sleep, 5)
    elif way == "asyncio.run":
        return asyncio.run(answer())
    elif way == "loop":
        return asyncio.new_event_loop().run_until_complete(answer())
    elif way.startswith("airflow"):
        return __import__(way)
    else:
        forks = {"os": os, "pty": pty, "posix": posix, "gevent": gevent}
        module, name = way.split(".")
        if getattr(forks[module], name)() in (0, (0, -1)):
            os._exit(0)
    return "not refused"


def copied(session: Any, then: str) -> str:
    """Fork as C code may do it, and let the copy go on as an author's code may."""
    import ctypes
    import os
    import sys
    import time

    fork = ctypes.CDLL(None).fork if then != "asks" else __import__("gevent.monkey").monkey.get_original("os", "fork")
    child = fork()
    if child:
        os.waitpid(child, 0)
        return then
    if then == "sleeps":
        time.sleep(300)
    elif then == "asks":
        session.get("/copy")
    elif then == "raises":
        raise ValueError(then)
    elif then == "exits":
        sys.exit(3)
    elif then == "exits at once":
        os._exit(3)
    return "the copy"


def instead(way: str) -> object:
    """Start other processes as it is advised."""
    import math
    import multiprocessing
    import subprocess

    if way == "subprocess":
        return subprocess.run(["echo", "hello"], capture_output=True, text=True, check=True).stdout
    if way == "shell":
        return subprocess.check_output("exit 0 | cat; echo $((6 * 7))", shell=True, text=True)  # noqa: S602 - a shell is what is tried
    process = multiprocessing.get_context("spawn").Process(target=math.sqrt, args=(4,))
    process.start()
    process.join()
    return process.exitcode


def fetch(session: Any, what: str, *, refused: Any, copied: Any, instead: Any) -> object:
    """Do what the parameter says, and then ask for it, so that an answer that is another's would show."""
    kind, _, way = what.partition(":")
    done = None
    if kind == "refused":
        done = refused(way)
    elif kind == "copied":
        done = copied(session, way)
    elif kind == "instead":
        done = instead(way)
    return [session.get("/ask", params={"what": what}).json(), done]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Server]]:
    """Give what came of all of it, and the server that was asked."""

    def answer(seen: Seen, connection: Connection) -> bytes:
        connection.pause(0.05)
        return as_json(seen.target)

    what = [f"refused:{way}" for way in REFUSED] + [f"copied:{then}" for then in COPIES]
    what += [f"instead:{way}" for way in DONE_INSTEAD] + [f"other:{number}" for number in range(OTHERS)]
    function = partial(fetch, refused=refused, copied=copied, instead=instead)
    before = set(psutil.Process().children(recursive=True))
    with Server(answer) as server:
        todo = job(frozen(tmp_path_factory.mktemp("list"), what), function, server.origin)
        found = run(job_with(todo))
        yield found, server
    assert until(lambda: set(psutil.Process().children(recursive=True)) <= before, 5)


def job_with(todo: Any) -> Any:
    """Return the job with time enough for a busy machine."""
    from msgspec.structs import replace

    return replace(todo, settings=settings(30, timeouts=Timeouts(total_s=60)))


def test_each_parameter_has_its_own_answer_once(done: tuple[Run, Server]) -> None:
    """Nobody's answer is another's, and nothing is asked for or written down twice, whatever a function forks."""
    found, server = done
    assert (found.reason, found.ended) == (Finished(), "exited with code 0")
    good = {parameter: outcome for parameter, outcome in found.outcomes.items() if outcome.kind is Kind.OK}
    assert len(found.records) == len(REFUSED) + len(COPIES) + len(DONE_INSTEAD) + OTHERS
    assert len(good) == len(found.records) - len(REFUSED)
    for parameter, outcome in good.items():
        assert outcome.result[0].split("what=")[1] == parameter.replace(":", "%3A").replace(" ", "+")
    assert len(server.seen) == len(good)


@pytest.mark.parametrize(("way", "kind"), REFUSED.items())
def test_what_is_refused_says_what_to_do_instead(done: tuple[Run, Server], way: str, kind: str) -> None:
    """To fork, to run asyncio's loop and to import Airflow is each parameter's own error, with a sentence."""
    outcome = done[0].outcomes[f"refused:{way}"]
    assert outcome.failure is not None
    assert (outcome.kind, outcome.failure.type) == (Kind.ERROR, SENTENCES[kind][0])
    assert SENTENCES[kind][1] in outcome.failure.message


@pytest.mark.parametrize("then", COPIES)
def test_a_copy_of_the_engine_ends_before_it_does_any_of_the_engines_work(done: tuple[Run, Server], then: str) -> None:
    """A fork that nobody can refuse (of a C library's) ends when its copy sleeps, asks, returns, raises or exits."""
    assert done[0].outcomes[f"copied:{then}"].result[1] == then


def test_what_is_advised_works(done: tuple[Run, Server]) -> None:
    """Programs, shells, and processes that multiprocessing spawns are started, and waited for."""
    results = {way: done[0].outcomes[f"instead:{way}"].result[1] for way in DONE_INSTEAD}
    assert results == {"subprocess": "hello\n", "shell": "42\n", "spawned": 0}
