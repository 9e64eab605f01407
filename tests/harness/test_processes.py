from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.processes import CommandNotStarted, Kept, StillRunning, free_port
from harness.processes.keeper import DEFAULT_GRACE_S
from harness.processes.kept import KEEPER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
MARK = "KEPT_TEST_MARK"

# Forks twice, leaves for a session of its own, and has no parent but the reaper; so do Airflow's tasks.
RUNAWAY = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(300)
    os._exit(0)
time.sleep(300)
"""
# SIGTERM doesn't impress it.
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
# An owner that starts a kept command, says so, and waits to be killed.
OWNER = """
import sys, time
from harness.processes import Kept
kept = Kept.start([sys.executable, "-c", sys.argv[1]])
print(kept.pid, flush=True)
time.sleep(300)
"""


@pytest.fixture
def mark() -> Iterator[str]:
    """Give a word that marks, in its environment, every process of one test."""
    word = uuid.uuid4().hex
    yield word
    for process in marked(word):
        process.kill()


def marked(mark: str) -> list[psutil.Process]:
    """Return every living process that was started, however indirectly, with the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def eventually(true: Callable[[], bool], within_s: float = 60.0) -> bool:
    """Return whether something comes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def environment(mark: str) -> dict[str, str]:
    """Return an environment that marks a process and all that it starts."""
    return {**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)}


def python(code: str) -> list[str]:
    """Return the command that runs code in another interpreter."""
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("code", [RUNAWAY, STUBBORN], ids=["runaway", "stubborn"])
def test_nothing_survives_the_owners_sigkill(code: str, mark: str) -> None:
    """Soon after SIGKILL of the owner, no keeper and no descendant of the command is left."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, code], env=environment(mark), stdout=subprocess.PIPE, cwd=ROOT
    )
    with owner:
        assert owner.stdout
        int(owner.stdout.readline())
        # The owner, the keeper and the command, and one that ran away.
        expected = 4 if code == RUNAWAY else 3
        assert eventually(lambda: len(marked(mark)) == expected)
        owner.kill()
    assert eventually(lambda: not marked(mark)), marked(mark)


def test_stop_ends_who_ran_away(mark: str) -> None:
    """stop() ends the command and a descendant in another session, and returns the command's code."""
    with Kept.start(python(RUNAWAY), env=environment(mark)) as kept:
        assert eventually(lambda: len(marked(mark)) == 3)
        assert kept.poll() is None
        assert kept.stop() == 128 + signal.SIGTERM
        assert not marked(mark)
        assert kept.stop() == kept.poll() == 128 + signal.SIGTERM


def test_stop_kills_after_the_grace(mark: str, tmp_path: Path) -> None:
    """What ignores SIGTERM gets the grace that stop() names, then SIGKILL."""
    log = tmp_path / "log"
    stubborn = STUBBORN.replace("time.sleep", "print('deaf', flush=True); time.sleep")
    with Kept.start(python(stubborn), env=environment(mark), log=log) as kept:
        assert eventually(lambda: log.read_text() == "deaf\n")
        assert kept.stop(grace_s=0.1) == 128 + signal.SIGKILL
        assert not marked(mark)


def test_end_of_the_command_takes_its_leftovers_along(mark: str) -> None:
    """When the command ends by itself, what it left behind ends, too, and the command's code is returned."""
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {RUNAWAY!r}]); sys.exit(7)"
    with Kept.start(python(code), env=environment(mark)) as kept:
        assert kept.wait(60) == 7
    assert not marked(mark)


# Leaves a process behind that SIGTERM doesn't impress, as Airflow's scheduler does.
LEAVING = f"""
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", {STUBBORN.replace("time.sleep", "print(flush=True); time.sleep")!r}], stdout=subprocess.PIPE
)
child.stdout.read(1)
"""
LONG_S = 1000.0


def test_leftovers_have_their_own_grace_until_the_caller_wants_to_end(mark: str) -> None:
    """A task may need time to say why it has failed; nobody who ends the test has to wait for it."""
    with Kept.start(python(LEAVING), env=environment(mark), leftovers_grace_s=LONG_S) as kept:
        # The keeper and what is left.
        assert eventually(lambda: kept.pid not in {process.pid for process in marked(mark)})
        with pytest.raises(StillRunning):
            kept.wait(DEFAULT_GRACE_S + 1)
        assert len(marked(mark)) == 2
        assert kept.stop(grace_s=0.1) == 0
        assert not marked(mark)


def test_leftovers_do_not_survive_the_owners_sigkill(mark: str) -> None:
    """However long their grace, it ends with who wanted the command."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.replace("sys.argv[1]]", "sys.argv[1]], leftovers_grace_s=1000"), LEAVING],
        env=environment(mark),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with owner:
        assert owner.stdout
        command = int(owner.stdout.readline())
        assert eventually(lambda: command not in {process.pid for process in marked(mark)})
        owner.kill()
    assert eventually(lambda: not marked(mark)), marked(mark)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_the_keeper_ends_all(number: signal.Signals, mark: str) -> None:
    """SIGTERM and SIGINT to the keeper itself end everything that it keeps."""
    with Kept.start(python(RUNAWAY), env=environment(mark)) as kept:
        assert eventually(lambda: len(marked(mark)) == 3)
        os.kill(kept.keeper_pid, number)
        kept.wait(60)
        assert not marked(mark)


def test_sigkill_of_the_keeper_takes_the_command_along(mark: str) -> None:
    """If the keeper itself is killed, the command still gets SIGTERM."""
    if sys.platform != "linux":
        pytest.skip("needs PR_SET_PDEATHSIG")
    with Kept.start(python("import time; time.sleep(300)"), env=environment(mark)) as kept:
        assert eventually(lambda: len(marked(mark)) == 2)
        os.kill(kept.keeper_pid, signal.SIGKILL)
        assert eventually(lambda: not marked(mark))


def test_output_goes_to_the_log_and_stdin_is_empty(tmp_path: Path) -> None:
    """The log gets the command's stdout and stderr behind what it held, and the command reads nothing."""
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import sys; print(repr(sys.stdin.read())); sys.stdout.flush(); print('bad', file=sys.stderr)"
    with Kept.start(python(code), log=log, cwd=tmp_path) as kept:
        assert kept.wait(60) == 0
    assert log.read_text() == "before\n''\nbad\n"


def test_keeper_does_not_hold_stdout(mark: str) -> None:
    """Who reads the command's output sees its end when the command closes it, though the keeper runs."""
    code = "import os, time; os.write(1, b'said'); os.close(1); os.close(2); time.sleep(300)"
    command = [sys.executable, "-P", str(KEEPER), "--grace", "1", "--", *python(code)]
    keeper = subprocess.Popen(command, cwd=ROOT, env=environment(mark), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with keeper:
        assert keeper.stdout
        assert keeper.stdout.read() == b"said"
        assert keeper.poll() is None
        assert keeper.stdin
        keeper.stdin.close()
        assert keeper.wait(60) == 128 + signal.SIGTERM
    assert not marked(mark)


def test_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A command that can't be started raises with its name and the system's reason, and leaves no keeper."""
    with pytest.raises(CommandNotStarted, match="no-such-command could not be started: No such file"):
        Kept.start(["no-such-command"], log=tmp_path / "log")


def test_waiting_too_long_is_told() -> None:
    """wait() raises with the process and the time, and the command runs on."""
    with Kept.start(["sleep", "300"]) as kept:
        with pytest.raises(StillRunning, match=rf"{kept.pid}.*0\.05 s"):
            kept.wait(0.05)
        assert kept.poll() is None


def test_a_free_port_is_none_that_clients_are_given() -> None:
    """Nobody has it at that moment, and no client that connects elsewhere gets it before its server is there."""
    lowest_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [free_port() for _ in range(20)]
    assert all(1024 < port < lowest_of_clients for port in ports)
    assert len(set(ports)) > 10
    with socket.create_server(("127.0.0.1", ports[0])) as server:
        assert server.getsockname()[1] == ports[0]
