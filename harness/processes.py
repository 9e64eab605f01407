"""Keep processes: whatever a kept command starts is gone soon after the one who wanted it is gone.

``python -m harness.processes [--grace S] -- command …`` runs a command. When the keeper's stdin reaches its
end (its parent closed it, or died, even of SIGKILL), when it gets SIGTERM or SIGINT, or when the command
ends, all descendants are ended: SIGTERM, a grace, SIGKILL. It then exits with the command's code, or with
128 + n if signal n ended it.

On Linux the keeper is the reaper of every descendant, also of those which left for a session of their own
(Airflow's tasks do). Elsewhere a descendant whose parent died is out of its reach.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

DEFAULT_GRACE_S = 3.0
# How long SIGKILL may take to work before the keeper gives up on a process (one stuck in the kernel).
KILL_LIMIT_S = 5.0
PARENT_CHECK_S = 0.5
REAP_PAUSE_S = 0.02

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLIENT_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT = 10_000
PORT_TRIES = 20
ENDINGS = (signal.SIGTERM, signal.SIGINT)


class CommandNotStarted(OSError):
    """A kept command could not be started; ``reason`` is the system's own sentence."""

    def __init__(self, command: Sequence[str], reason: str) -> None:
        super().__init__(command, reason)
        self.command = tuple(command)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.command[0]} could not be started: {self.reason}"


class StillRunning(TimeoutError):
    """A kept command has not ended in the time that was given to it."""

    def __init__(self, pid: int, timeout_s: float | None) -> None:
        super().__init__(pid, timeout_s)
        self.pid = pid
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"Process {self.pid}, or what it started, still runs after {self.timeout_s} s."


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago; somebody else may take it before you do.

    It isn't one of those that the system gives to clients: a server takes seconds to start, and in that time
    a fetch beside it opens thousands of connections.
    """
    for port in (*(_chosen_port() for _ in range(PORT_TRIES)), 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError(errno.EADDRNOTAVAIL, "no TCP port of 127.0.0.1 is free")


def _chosen_port() -> int:
    """Return a port below the clients' ports, by chance, 0 for any port where those can't be known."""
    with suppress(OSError, ValueError):
        lowest_of_clients = int(CLIENT_PORTS.read_text().split()[0])
        return LOWEST_PORT + secrets.randbelow(lowest_of_clients - LOWEST_PORT)
    return 0


class Kept:
    """A command that runs under a keeper of its own, seen from the side that wants it."""

    def __init__(self, keeper: subprocess.Popen[bytes], pid: int) -> None:
        self._keeper = keeper
        self.pid = pid

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
    ) -> Self:
        """Start a command with an empty stdin; its stdout and stderr are appended to ``log``, if given.

        Returns once the command runs; raises CommandNotStarted if it can't. ``pid`` is the command's, not
        the keeper's. Both have a session of their own: Ctrl-C reaches only the caller, who decides.
        """
        with ExitStack() as closing:
            output = closing.enter_context(log.open("ab")) if log else None
            reader, writer = os.pipe()
            report = closing.enter_context(os.fdopen(reader, "rb"))
            with os.fdopen(writer, "wb"):
                keeper = subprocess.Popen(
                    # -P: this file's own folder is no place to import from, it has a numbers.py.
                    [sys.executable, "-P", __file__, "--report-fd", str(writer), "--", *command],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT if output else None,
                    env=env,
                    cwd=cwd,
                    pass_fds=(writer,),
                    start_new_session=True,
                )
            said = report.read().decode()
        kept = cls(keeper, int(said) if said.isdecimal() else 0)
        if not kept.pid:
            kept.stop(0)
            raise CommandNotStarted(command, said or "the keeper died")
        return kept

    def __repr__(self) -> str:
        code = self.poll()
        return f"<Kept {self.pid} {'running' if code is None else f'ended with {code}'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def keeper_pid(self) -> int:
        """The keeper's own process id."""
        return self._keeper.pid

    def poll(self) -> int | None:
        """Return the command's exit code (128 + n for signal n) once all it started is gone, else None."""
        return self._keeper.poll()

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until all it started is gone, and return the command's code; raise StillRunning if not."""
        try:
            return self._keeper.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise StillRunning(self.pid, timeout_s) from None

    def stop(self, grace_s: float = DEFAULT_GRACE_S) -> int:
        """End the command and all it started, with SIGKILL what is left after the grace; return its code.

        Stopping what is stopped does nothing.
        """
        if self._keeper.stdin and not self._keeper.stdin.closed:
            with suppress(BrokenPipeError), self._keeper.stdin as stdin:
                stdin.write(str(grace_s).encode())
        try:
            return self.wait(grace_s + KILL_LIMIT_S + 1)
        except StillRunning:
            self._keeper.kill()
            return self._keeper.wait()


class Keeper:
    """The keeper's own side: one command, and the duty to leave nothing of it behind."""

    def __init__(self, *, grace_s: float) -> None:
        self.grace_s = grace_s
        self.code: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._parent = os.getppid()
        self._wake_reader, self._wake_writer = os.pipe()

    def run(self, command: Sequence[str], report_fd: int | None) -> int:
        """Run the command to its end, or to the caller's, and return its exit code."""
        self._listen()
        _become_reaper()
        self._spawn(command, report_fd)
        self._watch()
        self._end_all()
        return 1 if self.code is None else self.code

    def _listen(self) -> None:
        os.set_blocking(self._wake_writer, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (*ENDINGS, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)
        # A closed terminal also closes stdin, which ends everything in order.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _spawn(self, command: Sequence[str], report_fd: int | None) -> None:
        try:
            # Held, because a forgotten Popen collects its process, and the exit code with it.
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                preexec_fn=partial(_prepare_child, os.getpid()),  # noqa: PLW1509 (no threads here)
            )
            said = str(self._child.pid)
        except OSError as error:
            said, self.code = error.strerror or str(error), 127
            sys.stderr.write(f"{command[0]} could not be started: {said}\n")
        if report_fd is not None:
            with os.fdopen(report_fd, "wb") as report:
                report.write(said.encode())
        _let_go_of_output()

    def _watch(self) -> None:
        """Wait for the first reason to end: the command's end, a signal, the end of stdin, another parent."""
        while self.code is None and os.getppid() == self._parent:
            ready, _, _ = select.select([0, self._wake_reader], [], [], PARENT_CHECK_S)
            if self._wake_reader in ready and set(os.read(self._wake_reader, 4096)) & set(ENDINGS):
                return
            if 0 in ready and self._stdin_ended():
                return
            self._reap()

    def _stdin_ended(self) -> bool:
        """Read what the caller says: a grace in seconds before the end of stdin replaces the keeper's own."""
        said = os.read(0, 64)
        with suppress(ValueError):
            self.grace_s = float(said)
        return not said

    def _reap(self) -> bool:
        """Collect all who ended; return whether any child is left. Orphans are a reaper's children, too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if self._child and pid == self._child.pid:
                code = self._child.returncode = os.waitstatus_to_exitcode(status)
                self.code = code if code >= 0 else 128 - code

    def _end_all(self) -> None:
        term_until = time.monotonic() + self.grace_s
        kill_until = term_until + KILL_LIMIT_S
        asked: set[psutil.Process] = set()
        while self._reap() and (now := time.monotonic()) < kill_until:
            for process in self._descendants():
                if now >= term_until:
                    _send(process, signal.SIGKILL)
                elif process not in asked:
                    asked.add(process)
                    _send(process, signal.SIGTERM)
            time.sleep(REAP_PAUSE_S)

    def _descendants(self) -> Iterator[psutil.Process]:
        # A new look each time: a process may have forked between the look and the signal.
        yield from psutil.Process().children(recursive=True)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process.send_signal(number)
        if number != signal.SIGKILL:
            # A stopped process would sleep through SIGTERM.
            process.send_signal(signal.SIGCONT)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _become_reaper() -> None:
    """Make orphaned descendants children of this process instead of init's (Linux only)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prepare_child(keeper: int) -> None:
    """Run in the child before exec: SIGKILL of the keeper itself takes at least the command along."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != keeper:
        os._exit(1)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _let_go_of_output() -> None:
    """Leave stdout and stderr to the command alone: who reads them sees their end when the command ends."""
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def main() -> int:
    """Keep the command named on the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.processes", description="Keep a command's processes.")
    parser.add_argument("--grace", type=float, default=DEFAULT_GRACE_S, metavar="S", help="seconds before SIGKILL")
    parser.add_argument("--report-fd", type=int, help="an open descriptor to write the command's pid to")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    return Keeper(grace_s=asked.grace).run(asked.command, asked.report_fd)


if __name__ == "__main__":
    raise SystemExit(main())
