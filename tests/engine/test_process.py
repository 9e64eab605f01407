from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import psutil
import pytest
from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.launch import process
from airflow_fanout.launch.lines import LONGEST_LINE
from airflow_fanout.launch.messages import Ended, Failed, Output, ProgressReport, SendingRate
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import Finished, Stopped
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Throttle
from harness.service import DemoService
from tests.engine.harness import frozen, job, listened, run, settings
from tests.http.servers import Server, as_json, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.servers import Connection, Seen

DAY = "2026-11-22"
# Airflow gives a task that is to end five seconds.
END_S = 60.0
Form = TypeVar("Form", Output, ProgressReport)


def said_by(engine: EngineProcess, kind: type[Form]) -> Form:
    """Listen until the engine has said something of a kind."""
    return next(said for said in engine.listen() if isinstance(said, kind))


def is_running(pid: int) -> bool:
    """Return whether a process is there and isn't just waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def talk(session: object, number: int) -> int:
    """Print three lines, or let some time pass."""
    import time

    if number == 0:
        print("one\ntwo")
        print("unfinished", end="")
    else:
        time.sleep(1.2)
    return number


def burn(session: object, number: int) -> None:
    """Never let go of the processor."""
    print("burning")
    while True:
        pass


def sleep(session: object, number: int, quick: int = 0) -> int:
    """Sleep for ever, unless the number is one of the quick ones."""
    import time

    if number >= quick:
        print("sleeping")
        time.sleep(300)
    return number


def leave_a_child(session_of_requests: object, number: int, *, session: bool = False) -> int:
    """Start a process that outlives the engine."""
    import subprocess

    child = subprocess.Popen(["sleep", "300"], start_new_session=session)
    print("child", child.pid)
    return number


def leave_a_child_and_sleep(session: object, number: int) -> None:
    """Start a process that outlives the engine, and go on for long."""
    import subprocess
    import time

    print("child", subprocess.Popen(["sleep", "300"]).pid)
    time.sleep(300)


def leave_work_behind(session: object, number: int) -> int:
    """Start a thread and register a function, both of which outlive the engine."""
    import atexit
    import threading
    import time

    threading.Thread(target=time.sleep, args=(300,)).start()
    atexit.register(time.sleep, 300)
    return number


def close_everything(session: object, number: int) -> None:
    """Close all files, as programs do that become daemons."""
    os.closerange(3, 1000)


def print_much(session: object, number: int, *, stream: str) -> int:
    """Print a line of 40 MB."""
    import sys

    print("é" * 20_000_000, file=getattr(sys, stream))
    print("after", file=getattr(sys, stream))
    return number


def print_many(session: object, number: int) -> int:
    """Print many lines."""
    print("\n".join(map(str, range(200_000))))
    return number


def fill(engine: EngineProcess) -> None:
    """Fill the pipe of an engine's messages, as if it had told many."""
    told_in = psutil.Process(engine.pid).cmdline()[-1]
    pipe = os.open(f"/proc/{engine.pid}/fd/{told_in}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b'["note","told before"]\n')
    os.close(pipe)


def test_output_is_heard_when_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an author prints arrives line by line, while the function still runs, the unfinished line at the end."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with EngineProcess(job(frozen(tmp_path, range(2)), talk)) as engine:
        heard = [said.text if isinstance(said, Output) else type(said).__name__ for said in engine.listen()]
    assert heard[:3] == ["one", "two", "ProgressReport"]
    assert heard.index("unfinished") > heard.index("ProgressReport")
    assert sorted(heard[3:]) == ["Ended", "unfinished"]


def test_output_does_not_mix_with_messages(tmp_path: Path) -> None:
    """What looks like a message of the engine's is only output when the author's code prints it."""
    found = run(job(frozen(tmp_path, range(1)), lambda *_: print('["ended",["done"],{"total":7}]')))
    assert found.output == ['["ended",["done"],{"total":7}]']
    assert found.progress.total == 1


def test_sigterm_ends_in_good_order(tmp_path: Path) -> None:
    """Asked to stop, the engine ends within seconds, says so, and has kept every record that was finished."""
    todo = job(frozen(tmp_path, range(100)), partial(sleep, quick=30))
    with EngineProcess(todo) as engine:
        said_by(engine, ProgressReport)
        begun = time.monotonic()
        engine.ask_to_stop()
        found = listened(engine, todo)
    assert time.monotonic() - begun < END_S
    assert (found.reason, found.ended) == (Stopped(), f"exited with code {os.EX_TEMPFAIL}")
    assert found.progress.done == 30
    assert sorted(record.index for record in found.records) == list(range(30))


def test_sigterm_waits_for_what_is_nearly_there(tmp_path: Path) -> None:
    """Requests that end in the moment after the stop have their records; nothing new is begun."""

    def slow(seen: Seen, connection: Connection) -> bytes:
        connection.pause(1.9)
        return as_json(seen.path)

    with Server(slow) as server:
        todo = job(frozen(tmp_path, range(100)), Request(endpoint="/{0}"), server.origin, settings(4))
        with EngineProcess(todo) as engine:
            assert until(lambda: len(server.seen) >= 4, END_S)
            engine.ask_to_stop()
            found = listened(engine, todo)
    assert found.reason == Stopped()
    assert len(found.records) == len(server.seen) == 4


def test_stop_ends_an_engine_that_does_not_listen(tmp_path: Path) -> None:
    """An author's function that never lets go of the processor doesn't keep `stop` from ending the engine in time."""
    with EngineProcess(job(frozen(tmp_path, range(3)), burn)) as engine:
        said_by(engine, Output)
        begun = time.monotonic()
        engine.stop()
        assert time.monotonic() - begun < END_S
        assert engine.ended is not None
        assert not is_running(engine.pid)


def test_error_of_the_parent_ends_the_engine(tmp_path: Path) -> None:
    """An exception in the parent, such as Airflow's timeout of a task, ends the engine with it."""
    todo = job(frozen(tmp_path, range(3)), sleep)
    pids = []

    def execute() -> None:
        with EngineProcess(todo) as engine:
            pids.append(engine.pid)
            said_by(engine, Output)
            raise TimeoutError("execution_timeout")

    with pytest.raises(TimeoutError, match="execution_timeout"):
        execute()
    assert not is_running(pids[0])


def test_sigkill_is_told(tmp_path: Path) -> None:
    """An engine that was killed (by the kernel, for its memory) ends the listening; how it ended is told."""
    todo = job(frozen(tmp_path, range(20)), partial(sleep, quick=10))
    with EngineProcess(todo) as engine:
        said_by(engine, ProgressReport)
        os.kill(engine.pid, signal.SIGKILL)
        found = listened(engine, todo)
        assert engine.last_words.endswith("sleeping")
    assert found.ended == "was killed by SIGKILL"
    assert [said for said in found.said if isinstance(said, Ended | Failed)] == []
    assert sorted(record.index for record in found.records) == list(range(10))


def test_second_try_requests_only_the_rest(tmp_path: Path) -> None:
    """A second try over the same list requests only what has no good outcome, and counts the rest as done."""
    with DemoService.start(subscribers=20) as service:
        tels = sorted(_tels(service))
        service.set_faults(fail=tels[:2], null=tels[2:3], invalid=tels[3:4])
        request = Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls")
        todo = job(frozen(tmp_path, tels, ("tel",)), request, service.url)
        first = run(todo)
        service.restore_faults()
        service.reset_stats()
        second = run(todo)
        asked = service.asked()
        third = run(todo)
        assert service.asked() == asked
    assert first.progress.kinds == {"ok": 16, "http_error": 2, "null": 1, "invalid": 1}
    assert asked == dict.fromkeys(tels[:4], 1)
    assert (second.progress.resumed, second.progress.kinds) == (16, {"ok": 20})
    assert (third.progress.resumed, third.progress.requests) == (20, 0)
    last = {record.index: record.kind for record in third.records}
    assert last == dict.fromkeys(range(20), Kind.OK)


def test_a_listener_that_was_kept_waiting_hears_the_newest_progress(tmp_path: Path) -> None:
    """Of the progress that was told while nobody listened, only the last is heard."""
    with EngineProcess(job(frozen(tmp_path, range(1)), sleep)) as engine:
        first = said_by(engine, ProgressReport).progress
        time.sleep(3.3)
        then = said_by(engine, ProgressReport).progress
    assert then.seconds - first.seconds > 2.5


def test_an_engine_that_nobody_listens_to_goes_on(tmp_path: Path) -> None:
    """When the pipe of its messages is full, no request waits for that; its end is heard all the same."""

    def slow(seen: Seen, connection: Connection) -> bytes:
        connection.pause(0.3)
        return as_json(seen.path)

    with Server(slow) as server:
        todo = job(frozen(tmp_path, range(12)), Request(endpoint="/{0}"), server.origin, settings(1))
        with EngineProcess(todo) as engine:
            assert until(lambda: server.seen, END_S)
            fill(engine)
            assert until(lambda: len(server.seen) == 12, 2 * END_S)
            found = listened(engine, todo)
    assert (found.reason, found.progress.done) == (Finished(), 12)


def test_a_parent_does_not_wait_for_an_engine_that_does_not_listen(tmp_path: Path) -> None:
    """Messages that the pipe to a stopped engine doesn't hold are sent when it goes on; the last one counts."""
    how = settings(1, throttle=Throttle(adaptive=False, rate_per_s=0.5))
    todo = job(frozen(tmp_path, range(50)), lambda _session, number: number, how=how)
    with EngineProcess(todo) as engine:
        said_by(engine, ProgressReport)
        os.kill(engine.pid, signal.SIGSTOP)
        begun = time.monotonic()
        for number in range(10_000):
            engine.tell(SendingRate(1.0 + number))
        assert time.monotonic() - begun < END_S
        os.kill(engine.pid, signal.SIGCONT)
        found = listened(engine, todo)
    # At the first rate it takes a hundred seconds.
    assert (found.progress.done, found.progress.seconds < 20) == (50, True)


@pytest.mark.parametrize("session", [False, True], ids=["in the group", "in a session of its own"])
def test_what_a_function_has_started_ends_with_the_engine(tmp_path: Path, *, session: bool) -> None:
    """A process that a function leaves behind is ended with the engine, and the log says so; nobody waits for it."""
    found = run(job(frozen(tmp_path, range(1)), partial(leave_a_child, session=session)))
    word, _, pid = found.output[0].partition(" ")
    assert (word, found.reason) == ("child", Finished())
    assert until(lambda: not is_running(int(pid)), END_S)
    assert found.notes == ["Functions of the report left 1 process(es) behind; they were ended."]


def test_what_a_function_has_started_ends_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    """When the engine itself is killed, its parent ends what the engine's functions have started."""
    with EngineProcess(job(frozen(tmp_path, range(9)), leave_a_child_and_sleep)) as engine:
        child = int(said_by(engine, Output).text.split()[1])
        assert is_running(child)
        os.kill(engine.pid, signal.SIGKILL)
        list(engine.listen())
        assert until(lambda: not is_running(child), END_S)


@pytest.mark.parametrize(
    "look",
    [lambda engine: engine.code, EngineProcess.ask_to_stop, EngineProcess.kill],
    ids=["looked at", "asked to stop", "killed"],
)
def test_what_a_function_has_started_ends_with_an_engine_that_dies_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[EngineProcess], object]
) -> None:
    """It makes no difference if the engine ends between two looks of its parent's."""
    with EngineProcess(job(frozen(tmp_path, range(9)), leave_a_child_and_sleep)) as engine:
        child = int(said_by(engine, Output).text.split()[1])

        def last_look(pid: int) -> bool:
            os.kill(pid, signal.SIGKILL)
            assert until(lambda: not is_running(pid), END_S)
            return False

        with monkeypatch.context() as patched:
            patched.setattr(process, "_has_ended", last_look)
            look(engine)
        list(engine.listen())
        assert until(lambda: not is_running(child), END_S)


def test_what_a_function_leaves_running_does_not_keep_the_engine(tmp_path: Path) -> None:
    """Threads that go on, and what is registered for the end of the program, don't hold up the end of a fetch."""
    found = run(job(frozen(tmp_path, range(3)), leave_work_behind))
    assert (found.reason, found.ended, found.progress.kinds) == (Finished(), "exited with code 0", {"ok": 3})


def test_a_function_that_closes_the_engines_files_does_not_hang_the_parent(tmp_path: Path) -> None:
    """An engine that can't be heard any more is ended, and that is told as its death."""
    with EngineProcess(job(frozen(tmp_path, range(3)), close_everything)) as engine:
        ends = [said for said in engine.listen() if isinstance(said, Ended)]
        assert engine.ended is not None
    assert ends == []


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_an_endless_line_is_cut(tmp_path: Path, stream: str) -> None:
    """A line of 40 MB is heard in time that grows with its length, cut, and what follows it is heard as well."""
    begun = time.process_time()
    found = run(job(frozen(tmp_path, range(1)), partial(print_much, stream=stream)))
    # Its pieces come by 64 KiB: with all of them looked at again for each, this takes a minute.
    assert time.process_time() - begun < 5
    line, after = found.output
    assert line == "é" * (LONGEST_LINE // 2) + "… (cut: the line has 40,000,000 bytes)"
    assert after == "after"
    assert found.progress.kinds == {"ok": 1}


def test_many_lines_are_all_heard(tmp_path: Path) -> None:
    """Two hundred thousand lines arrive one by one, in order."""
    found = run(job(frozen(tmp_path, range(1)), print_many))
    assert found.output == [str(number) for number in range(200_000)]


VARIABLES = {
    "AIRFLOW_CONN_MONGO": "mongodb://u:marked-secret@db",
    "AIRFLOW_VAR_TOKEN": "marked-secret",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://u:marked-secret@db",
    "AIRFLOW__CORE__FERNET_KEY": "marked-secret",
    "AIRFLOW__API_AUTH__JWT_SECRET": "marked-secret",
    "AIRFLOW__CELERY__BROKER_URL_CMD": "echo marked-secret",
    "airflow__core__fernet_key": "marked-secret",
    "_AIRFLOW_WWW_USER_PASSWORD": "marked-secret",
    "_AIRFLOW__STARTUP_MSG": "marked-secret",
    "AIRFLOW_CONN_": "marked-secret",
}


def test_the_engine_has_none_of_airflows_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections, Variables and Airflow's configuration aren't in the engine's environment; an author's own are."""
    for name, value in {**VARIABLES, "REPORTS_REGION": "north", "AIRFLOW_HOME": "/airflow"}.items():
        monkeypatch.setenv(name, value)
    with EngineProcess(job(frozen(tmp_path, range(3)), sleep)) as engine:
        said_by(engine, Output)
        entries = Path(f"/proc/{engine.pid}/environ").read_bytes().split(b"\0")
        os.kill(engine.pid, signal.SIGKILL)
    assert [entry for entry in entries if b"marked-secret" in entry] == []
    assert {b"REPORTS_REGION=north", b"AIRFLOW_HOME=/airflow", f"PATH={os.environ['PATH']}".encode()} <= set(entries)


def test_secrets_stay_in_the_pipe(tmp_path: Path) -> None:
    """The connection's secrets are in no argument and in no variable of the engine's process, nor in the job's name."""
    secret = "s3cr3t-of-the-connection"
    todo = job(frozen(tmp_path, range(3)), sleep, Endpoint(base_url="http://127.0.0.1:1", login="u", password=secret))
    with EngineProcess(todo) as engine:
        said_by(engine, Output)
        process = Path(f"/proc/{engine.pid}")
        public = process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
        assert secret.encode() not in public
        assert secret not in repr(todo) + repr(engine)
        os.kill(engine.pid, signal.SIGKILL)


def tell_all(session: Any, number: int, *, password: str) -> None:
    """Print and raise what the connection holds."""
    import base64
    from urllib.parse import quote

    pair = base64.b64encode(f"u:{password}".encode()).decode()
    text = f"{password} {quote(password)} {pair} {session.get('/').request.headers} {session._endpoint.headers}"
    print(text)
    raise ValueError(text)


def test_what_the_connection_holds_is_in_no_line_and_no_message(tmp_path: Path) -> None:
    """A function that prints its credentials, and raises them, leaves none in the log and none in the journal."""
    password, key = "marked s3cr3t/pässword", "marked-api-key-77"
    endpoint = Endpoint(base_url="", login="u", password=password, headers={"X-Api-Key": key})
    with Server(lambda seen, _: as_json(seen.path)) as server:
        how = replace(endpoint, base_url=server.origin)
        found = run(job(frozen(tmp_path, range(1)), partial(tell_all, password=password), how))
    [failure] = [record.failure for record in found.records]
    assert failure is not None
    assert (failure.type, len(found.output)) == ("ValueError", 1)
    forms = (password, quote(password), base64.b64encode(f"u:{password}".encode()).decode()[4:-4], key)
    assert [form for form in forms for text in (*found.output, failure.message) if form in text] == []


def test_parent_loads_nothing_of_the_engine() -> None:
    """Starting an engine imports neither gevent nor requests into the parent."""
    code = """
import sys
import airflow_fanout.launch.process
print(*{"gevent", "requests", "urllib3"} & set(sys.modules))
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(root / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"


def _tels(service: DemoService) -> list[str]:
    import requests

    return [one["tel"] for one in requests.get(f"{service.url}/subscribers.json", timeout=10).json()]
