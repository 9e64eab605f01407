"""The engine seen from its parent: started, listened to, and never left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from airflow_fanout import codec
from airflow_fanout.engine.job import Job

PROGRAM = Path(__file__).with_name("__main__.py")
# The engine lets its requests in flight end for two seconds and closes its part; then patience ends.
GRACE_S = 4.0
# How long the parent listens for more of what an engine that has ended may have printed.
LEFTOVERS_S = 0.5


class Said(NamedTuple):
    """Something that came from the engine: a message of its own, or a line that some code printed."""

    what: str
    value: Any


class EngineProcess:
    """A running engine.

    It has three pipes: the job goes in by the first, which stays open for as long as this process lives (its end
    is the engine's sign to stop); its messages come by the second; whatever its code prints, by the third.
    """

    def __init__(self, job: Job) -> None:
        job_out, self._job_in = os.pipe()
        self._told, told_in = os.pipe()
        # -P: the program's own folder is no place to import from. -u: what code prints is heard when it prints it.
        command = [sys.executable, "-u", "-P", str(PROGRAM), str(job_out), str(told_in)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(job_out, told_in),
            )
        finally:
            os.close(job_out)
            os.close(told_in)
        self._asked = False
        self._last_lines: deque[str] = deque(maxlen=20)
        with contextlib.suppress(BrokenPipeError):
            _write_all(self._job_in, job.encode())

    def __repr__(self) -> str:
        return f"EngineProcess(pid {self._process.pid}, {self.ended or 'running'})"

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        os.close(self._job_in)
        os.close(self._told)
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def ended(self) -> str | None:
        """How the process ended, in words; `None` while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    @property
    def last_words(self) -> str:
        """The last lines that its code printed."""
        return "\n".join(self._last_lines)

    def listen(self) -> Iterator[Said]:
        """Yield what the engine says until it has closed its pipes."""
        return (said for _, said in heard([self]) if said is not None)

    @property
    def told(self) -> int:
        """The pipe with its messages."""
        return self._told

    @property
    def output(self) -> int:
        """The pipe with what its code prints."""
        if self._process.stdout is None:
            raise AssertionError("the engine's output is a pipe")
        return self._process.stdout.fileno()

    def said(self, line: bytes, *, told: bool) -> Said:
        """Return what a line of one of its pipes says."""
        if told:
            return Said(*codec.decode(line))
        text = line.decode(errors="replace")
        self._last_lines.append(text)
        return Said("output", text)

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()

    @property
    def ended_as_asked(self) -> bool:
        """Whether it was asked to stop, and has ended by that."""
        return self._asked and self._process.poll() == -signal.SIGTERM

    def ask_to_stop(self) -> None:
        """Tell the engine to come to an end, without waiting for it."""
        if self._process.poll() is None:
            self._asked = True
            self._process.terminate()

    def stop(self) -> None:
        """End the engine: ask it, wait a moment, then kill it."""
        self.ask_to_stop()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def heard(engines: Sequence[EngineProcess]) -> Iterator[tuple[EngineProcess, Said | None]]:
    """Yield what each of several engines says as it is said, and `None` for one that has ended.

    Of the progress that was told while nobody listened, only the newest is heard.
    """
    told = {engine.told: engine for engine in engines}
    streams = {pipe: (engine, _Lines()) for engine in engines for pipe in (engine.told, engine.output)}
    with selectors.DefaultSelector() as selector:
        for pipe in streams:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            # The messages end with the engine itself; its output may be held open by a process that the author's
            # code has started and left behind.
            ready = selector.select(None if told.keys() & selector.get_map().keys() else LEFTOVERS_S)
            if not ready:
                break
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                engine, lines = streams[key.fd]
                said = [engine.said(line, told=key.fd in told) for line in lines.feed(data)]
                yield from ((engine, one) for one in _newest(said))
                if not data:
                    selector.unregister(key.fd)
                    if key.fd in told:
                        engine.wait()
                        yield engine, None


def _newest(said: Sequence[Said]) -> Iterator[Said]:
    # Airflow may keep the listener waiting for each of them: what is over would hold up what is true.
    progress = [at for at, one in enumerate(said) if one.what == "progress"]
    return (one for at, one in enumerate(said) if at not in progress[:-1])


class _Lines:
    """Cuts a stream of bytes into lines; the end of the stream ends the last one."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [self._rest], b""
        return lines


def _write_all(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]
