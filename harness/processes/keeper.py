"""The keeper: whatever a kept command starts is gone soon after the one who wanted it is gone.

``python -P keeper.py [--grace S] [--leftovers-grace S] -- command …`` runs a command. When the keeper's stdin
reaches its end (its parent closed it, or died, even of SIGKILL), when it gets SIGTERM or SIGINT, or when the
command ends, all descendants are ended: SIGTERM, a grace, SIGKILL. What a command that has ended leaves behind
may have a longer grace, for as long as the caller waits. The keeper then exits with the command's code, or with
128 + n if signal n ended it.

On Linux the keeper is the reaper of every descendant, also of those which left for a session of their own
(Airflow's tasks do). Elsewhere a descendant whose parent died is out of its reach.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

# No module of the harness: this file runs as a program, wherever it is started.
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEFAULT_GRACE_S = 3.0
# How long SIGKILL may take to work before the keeper gives up on a process (one stuck in the kernel).
KILL_LIMIT_S = 5.0
PARENT_CHECK_S = 0.5
REAP_PAUSE_S = 0.02

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ENDINGS = (signal.SIGTERM, signal.SIGINT)


class Keeper:
    """The keeper's own side: one command, and the duty to leave nothing of it behind."""

    def __init__(self, *, grace_s: float, leftovers_grace_s: float) -> None:
        self.grace_s = grace_s
        self.leftovers_grace_s = leftovers_grace_s
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
        """Wait for the first reason to end: the command's end, or the caller's sign."""
        while self.code is None and not self._is_asked_to_end(PARENT_CHECK_S):
            self._reap()

    def _is_asked_to_end(self, wait_s: float) -> bool:
        """Wait a moment; return whether the caller wants all to be gone: a signal, the end of stdin, another parent."""
        ready, _, _ = select.select([0, self._wake_reader], [], [], wait_s)
        if self._wake_reader in ready and set(os.read(self._wake_reader, 4096)) & set(ENDINGS):
            return True
        if 0 in ready and self._stdin_ended():
            return True
        return os.getppid() != self._parent

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
        is_asked = self.code is None
        term_until = time.monotonic() + (self.grace_s if is_asked else self.leftovers_grace_s)
        asked: set[psutil.Process] = set()
        while self._reap() and (now := time.monotonic()) < term_until + KILL_LIMIT_S:
            for process in self._descendants():
                if now >= term_until:
                    _send(process, signal.SIGKILL)
                elif process not in asked:
                    asked.add(process)
                    _send(process, signal.SIGTERM)
            if is_asked:
                time.sleep(REAP_PAUSE_S)
            elif self._is_asked_to_end(REAP_PAUSE_S):
                is_asked = True
                term_until = min(term_until, time.monotonic() + self.grace_s)

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
    parser = argparse.ArgumentParser(prog="python -P keeper.py", description="Keep a command's processes.")
    parser.add_argument("--grace", type=float, default=DEFAULT_GRACE_S, metavar="S", help="seconds before SIGKILL")
    parser.add_argument("--leftovers-grace", type=float, metavar="S", help="the same for what an ended command left")
    parser.add_argument("--report-fd", type=int, help="an open descriptor to write the command's pid to")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    leftovers_grace_s = asked.grace if asked.leftovers_grace is None else asked.leftovers_grace
    keeper = Keeper(grace_s=asked.grace, leftovers_grace_s=leftovers_grace_s)
    return keeper.run(asked.command, asked.report_fd)


if __name__ == "__main__":
    raise SystemExit(main())
