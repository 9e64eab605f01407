"""The engine seen from its parent: started, looked at, and never left behind."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import assert_never

from msgspec.structs import replace

from airflow_fanout.launch.board import Board
from airflow_fanout.launch.family import STOPPED, end_descendants, end_group, state
from airflow_fanout.launch.hearing import heard
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.limits import MOST_CALLS
from airflow_fanout.launch.messages import (
    BudgetUse,
    CredentialsRefused,
    DamagedPart,
    Ended,
    EngineMessage,
    Failed,
    Heard,
    NewCredentials,
    Output,
    ParentMessage,
    ProgressReport,
    Remark,
    Start,
    from_engine,
)
from airflow_fanout.launch.outbox import Outbox
from airflow_fanout.launch.secrets import SecretsOfSeveral
from airflow_fanout.launch.surroundings import without_airflow
from airflow_fanout.launch.watch import Silence, Watchdog

# Where this very code lies, whatever a link on the way to it leads to by the time that an engine is started.
PROGRAM = Path(__file__).resolve().parents[1] / "engine" / "__main__.py"
# The engine lets its requests in flight end for two seconds and closes its part; then patience ends.
GRACE_S = 4.0
# How often the parent looks whether an engine has ended.
WAIT_S = 0.02
# An engine whose code prints may be waiting until this process has read all of it: such time counts for less.
PRINTING_SHARE = 0.05
# An engine's last lines become part of an error's message.
LONGEST_LAST_WORD = 500


class EngineProcess:
    """A running engine.

    It has three pipes: the job goes in by the first, and later messages; it stays open for as long as this process
    lives (its end is the engine's sign to stop). The engine's messages come by the second; whatever its code prints, by
    the third. A board in shared memory says what it is doing. It leads a process group of its own, which ends with it.
    """

    def __init__(self, job: Job) -> None:
        inbox, outbox = os.pipe()
        # The pipe with the engine's messages.
        self.told, told_in = os.pipe()
        self.board = Board.new(min(MOST_CALLS, job.settings.concurrency * len(job.endpoints)))
        inherited = (inbox, self.board.descriptor, told_in)
        # -P: the program's own folder is no place to import from. -u: what code prints is heard when it prints it.
        command = [sys.executable, "-u", "-P", str(PROGRAM), *map(str, inherited)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=inherited,
                env=without_airflow(os.environ),
                process_group=0,
            )
        finally:
            os.close(inbox)
            os.close(told_in)
        self._asked = False
        self._has_printed = False
        self._secrets = SecretsOfSeveral(job.endpoints, hidden=job.hidden)
        self._last_lines: deque[str] = deque(maxlen=20)
        self.watch = Watchdog(job.settings.timeouts.block_s)
        self._outbox = Outbox(outbox, Start(job))

    def __repr__(self) -> str:
        return f"EngineProcess(pid {self._process.pid}, {self.ended or 'running'})"

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._outbox.close()
        os.close(self.told)
        self.board.close()
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How the process ended, as `subprocess` has it: below 0 by a signal; `None` while it runs."""
        if self._process.returncode is None and _has_ended(self.pid):
            # As long as nobody has waited for it, its number, and that of its group, belongs to nobody else.
            end_group(self.pid)
            self._process.wait()
        return self._process.returncode

    @property
    def ended(self) -> str | None:
        """How the process ended, in words; `None` while it runs."""
        if self.code is None:
            return None
        return f"was killed by {signal.Signals(-self.code).name}" if self.code < 0 else f"exited with code {self.code}"

    @property
    def last_words(self) -> str:
        """The last lines that its code printed."""
        return "\n".join(self._last_lines)

    def look(self) -> Silence | None:
        """Return how long the engine has done nothing, if it is time to report that; called about once a second."""
        self._outbox.send_rest()
        share = 0.0 if state(self.pid) in STOPPED else PRINTING_SHARE if self._has_printed else 1.0
        self._has_printed = False
        return self.watch.look(self.board.look(), time.monotonic(), share=share)

    def kill(self) -> None:
        """End the engine, and all that its code has started, at once."""
        if self.code is None:
            end_descendants(self.pid)
            self._send(signal.SIGKILL)

    def listen(self) -> Iterator[Heard]:
        """Yield what the engine says until it has ended."""
        return (message for _, message in heard([self]) if message is not None)

    @property
    def output(self) -> int:
        """The pipe with what its code prints."""
        if self._process.stdout is None:
            raise AssertionError("the engine's output is a pipe")
        return self._process.stdout.fileno()

    def said(self, line: bytes, *, told: bool) -> EngineMessage | Output:
        """Return what a line of one of its pipes says."""
        if told:
            return self._without_secrets(from_engine(line))
        text = self._secrets.hide(line.decode(errors="replace"))
        self._has_printed = True
        self._last_lines.append(text[:LONGEST_LAST_WORD])
        return Output(text)

    def tell(self, message: ParentMessage) -> None:
        """Send the engine a message, without waiting for it."""
        if isinstance(message, NewCredentials):
            self._secrets.add(message.connection, message.endpoint.secrets)
        self._outbox.send(message)

    def _without_secrets(self, message: EngineMessage) -> EngineMessage:
        hide = self._secrets.hide
        match message:
            # They have texts that the engine hasn't written itself, of exceptions for instance.
            case Failed(kind, text, details):
                return replace(message, kind=hide(kind), message=hide(text), details=hide(details))
            case Remark(text):
                return Remark(hide(text))
            case ProgressReport() | Ended() | DamagedPart() | CredentialsRefused() | BudgetUse():
                return message
            case _:
                assert_never(message)

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait at most this number of seconds for its end; return whether it has ended."""
        until_s = time.monotonic() + seconds
        while self.code is None:
            if time.monotonic() >= until_s:
                return False
            time.sleep(WAIT_S)
        return True

    @property
    def ended_as_asked(self) -> bool:
        """Whether it was asked to stop, and has ended by that."""
        return self._asked and self.code == -signal.SIGTERM

    def ask_to_stop(self) -> None:
        """Tell the engine to come to an end, without waiting for it."""
        if self.code is None:
            self._asked = True
            self._send(signal.SIGTERM)

    def stop_if_late(self) -> None:
        """Wait for an engine that has said its last word, and end it if it doesn't end by itself."""
        if not self.wait(GRACE_S):
            self.kill()
            self.wait()

    def stop(self) -> None:
        """End the engine: ask it, wait a moment, then kill it."""
        self.ask_to_stop()
        self.stop_if_late()

    def _send(self, number: signal.Signals) -> None:
        # `Popen.send_signal` waits for a process that has ended meanwhile, and then its group would be left behind.
        os.kill(self.pid, number)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
