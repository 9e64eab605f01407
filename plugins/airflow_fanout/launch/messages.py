"""All that engines and their parent say to each other while a fetch runs, one type for each message.

Who handles messages does so by their types, with `assert_never` at the end: a message that is added here, and not
handled there, fails the type check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import msgspec

from airflow_fanout import codec
from airflow_fanout.control.breaker import Tripped
from airflow_fanout.launch.watch import Silence
from airflow_fanout.model.outcome import Cause
from airflow_fanout.model.progress import Progress


class Finished(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """All parameters have their outcome."""


class Stopped(msgspec.Struct, frozen=True, array_like=True, tag="stopped"):
    """The engine was asked to stop."""


class Overtaken(msgspec.Struct, frozen=True, array_like=True, tag="superseded"):
    """A newer try of the same fetch has begun."""


class LongPause(msgspec.Struct, frozen=True, array_like=True, tag="wait"):
    """The server has asked for a pause, in seconds, that is longer than a worker slot is worth."""

    seconds: float


class LongOutage(msgspec.Struct, frozen=True, array_like=True, tag="outage"):
    """The server has given no answer for so many seconds; the last failure is the reason."""

    seconds: float
    reason: str


class BreakerTripped(msgspec.Struct, frozen=True, array_like=True, tag="tripped"):
    """The circuit breaker has found that the rest is doomed."""

    finding: Tripped


class StartupFailed(msgspec.Struct, frozen=True, array_like=True, tag="not_started"):
    """So many first requests have failed of a cause that no waiting cures; `said` are the words of the last one."""

    requests: int
    cause: Cause
    said: str


# Why a fetch was stopped before its work was done.
StopReason: TypeAlias = Stopped | Overtaken | LongPause | LongOutage | BreakerTripped | StartupFailed


class ProgressReport(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """What is done so far, told each second, as `Progress.as_json` gives it."""

    state: dict[str, Any]

    @property
    def progress(self) -> Progress:
        """The counts."""
        return Progress.from_json(self.state)


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """The engine's last message: why it ends, and its last progress, as `Progress.as_json` gives it."""

    reason: Finished | StopReason
    state: dict[str, Any]

    @property
    def progress(self) -> Progress:
        """The counts."""
        return Progress.from_json(self.state)


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The engine's last message if an error of its own has ended it.

    `kind` is the error's class and `details` its traceback, if that explains anything. After an error that is final
    no other try could succeed.
    """

    kind: str
    message: str
    details: str = ""
    is_final: bool = False


class Remark(msgspec.Struct, frozen=True, array_like=True, tag="note"):
    """A sentence for the log, on how the engine does its work."""

    text: str


class DamagedPart(msgspec.Struct, frozen=True, array_like=True, tag="damaged"):
    """The path of a part of the journal that was damaged; what was in it is fetched again."""

    path: str


class Output(msgspec.Struct, frozen=True):
    """A line that an engine's code has printed, as its parent has read it."""

    text: str


class Warned(msgspec.Struct, frozen=True):
    """A warning for the log, from the parent that watches its engines."""

    text: str


# What an engine writes to the pipe of its messages.
EngineMessage: TypeAlias = ProgressReport | Ended | Failed | Remark | DamagedPart
# What the parent hears of one engine: its messages, and what it observes itself.
Heard: TypeAlias = EngineMessage | Output | Silence
# What the engines of a fetch say together.
FetchMessage: TypeAlias = EngineMessage | Output | Warned

_decode: Callable[[bytes], EngineMessage] = codec.decoder(cast("Any", EngineMessage))


def encode(message: EngineMessage) -> bytes:
    """Return a message as one line, with its line break."""
    return codec.encode(message) + b"\n"


def decode(line: bytes) -> EngineMessage:
    """Return the message of a line; raise `NotJson` for a line that is none."""
    return _decode(line)
