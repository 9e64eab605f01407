"""A kept command, seen from the side that wants it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.processes.keeper import DEFAULT_GRACE_S, KILL_LIMIT_S
from harness.processes.stopped import StoppedAtTheEnd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

KEEPER = Path(__file__).with_name("keeper.py")


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


class Kept(StoppedAtTheEnd):
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
        leftovers_grace_s: float = DEFAULT_GRACE_S,
    ) -> Self:
        """Start a command with an empty stdin; its stdout and stderr are appended to ``log``, if given.

        Returns once the command runs; raises CommandNotStarted if it can't. ``pid`` is the command's, not
        the keeper's. Both have a session of their own: Ctrl-C reaches only the caller, who decides. What the
        command leaves behind when it ends by itself has ``leftovers_grace_s``, as long as the caller lives and waits.
        """
        with ExitStack() as closing:
            output = closing.enter_context(log.open("ab")) if log else None
            reader, writer = os.pipe()
            report = closing.enter_context(os.fdopen(reader, "rb"))
            with os.fdopen(writer, "wb"):
                keeper = subprocess.Popen(
                    # By its file: `env` may not lead to the harness. -P: the file's folder is no place to import from.
                    [
                        *(sys.executable, "-P", str(KEEPER)),
                        *(f"--leftovers-grace={leftovers_grace_s}", f"--report-fd={writer}", "--", *command),
                    ],
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
