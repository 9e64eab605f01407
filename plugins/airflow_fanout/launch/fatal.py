"""Which call has ended an engine, or keeps it from going on, as far as that can be known from outside."""

from __future__ import annotations

import signal

import msgspec

from airflow_fanout.launch.board import NOBODY, Sight
from airflow_fanout.launch.watch import Silence
from airflow_fanout.masking import mask
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import read_parameters

# A message names at most this number of the calls that wait.
_MOST_NAMED = 10
# Signals that a process sends to itself, by a mistake in what it is running. (SIGKILL comes from outside: the kernel
# sends it when memory is short, and whose call was running then says nothing.)
_OWN_SIGNALS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})


class Fatal(msgspec.Struct, frozen=True):
    """A call that has ended an engine: its parameter's index, and the message of its outcome."""

    index: int
    message: str


def of_silence(silence: Silence) -> Fatal | None:
    """Return the call that has blocked an engine; `None` if nobody knows which."""
    if silence.culprit is None:
        return None
    text = (
        f"the function blocked the engine for {silence.seconds:,.0f} s (timeouts.block_s): no other call could run. "
        "Wait only in calls that gevent knows (session, socket, time.sleep, subprocess), and run a long computation in "
        "its own process."
    )
    return Fatal(silence.culprit, text)


def of_end(sight: Sight, code: int, ended: str) -> Fatal | None:
    """Return the call that has ended an engine which has not said why; `None` if that wasn't a call.

    :param sight: what its board said last.
    :param code: how it ended, as `subprocess` has it.
    :param ended: the same in words.
    """
    is_its_own = code >= 0 or -code in _OWN_SIGNALS
    if sight.running == NOBODY or not is_its_own:
        return None
    return Fatal(sight.running, f"the function ended the engine's process, which {ended}.")


def described(silence: Silence, directory: ListDirectory, limit_s: float) -> str:
    """Return what there is to say of an engine that does nothing."""
    sight = silence.sight
    if not sight.steps:
        return f"The engine has been starting for {silence.seconds:,.0f} s: it imports the function and its modules."
    if silence.culprit is None:
        return (
            f"The engine has done nothing for {silence.seconds:,.0f} s, and no function's call is known to be running. "
            f"{_waiting(sight)}"
        )
    return (
        f"The engine has done nothing for {silence.seconds:,.0f} s: the call of parameter "
        f"{named(directory, silence.culprit)} is running and blocks all others. {_waiting(sight)} "
        f"After {limit_s:g} s (timeouts.block_s) the engine is restarted without that parameter."
    )


def named(directory: ListDirectory, index: int) -> str:
    """Return a parameter's index and its masked value, for a message."""
    [(_, parameter)] = read_parameters(directory, range(index, index + 1))
    return f"{index} ({mask(parameter)})"


def _waiting(sight: Sight) -> str:
    waiting = [call.index for call in sight.calls if call.index != sight.running]
    if not waiting:
        return "No other call is under way."
    names = ", ".join(map(str, waiting[:_MOST_NAMED])) + (", …" if len(waiting) > _MOST_NAMED else "")
    return f"Calls that wait for it: {len(waiting)} (of parameters {names})."
