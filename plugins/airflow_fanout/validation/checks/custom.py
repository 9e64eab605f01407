"""Whatever else an author's function finds in the results."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import scrub
from airflow_fanout.model.functions import describe
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.preflight.signatures import check_signature
from airflow_fanout.staging.history import GoodRun
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.running import CheckContext, RunningCheck
from airflow_fanout.validation.verdict import cut, show

# What an author's function says is for people, and may be a list of what it has found.
LONGEST_SAYING = 2_000

Pairs = Iterator[tuple[Json, Json]]


class CustomCheck(Check, frozen=True):
    """A function of the author's is content with all good results.

    :param function: gets an iterator over (parameter, result) of all good outcomes, in the order in which they
        ended, and returns what is wrong, or `None`. The iterator is read once, and holds one result at a time. What
        the function says is shown as it is; if it raises, that is what is wrong.
    """

    function: Callable[[Pairs], str | None]

    def __post_init__(self) -> None:
        if not callable(self.function) or inspect.isclass(self.function):
            raise BadSetting("function", self.function, "a function of one argument, the (parameter, result) pairs")
        if inspect.iscoroutinefunction(self.function) or inspect.isgeneratorfunction(self.function):
            raise BadSetting("function", self.function, "a plain function, that returns a text or None")
        check_signature("CustomCheck", self.function)

    def __str__(self) -> str:
        return f"CustomCheck({describe(self.function)})"

    def resolved(self, resolve: Callable[[Any], Any]) -> Self:
        """Return the check with its function as `resolve` gives it."""
        return type(self)(resolve(self.function))

    def watch(self, case: CheckContext) -> RunningCheck:
        """Begin to look at a run."""
        return _OverWatch(self.function, case)


class _OverWatch(RunningCheck):
    def __init__(self, function: Callable[[Pairs], object], case: CheckContext) -> None:
        self._function = function
        self._case = case

    def problem(self, now: GoodRun) -> str | None:  # noqa: ARG002 - other checks compare
        stream = _Stream(self._case.records())
        try:
            verdict = self._function(stream)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an author's function may raise anything
            stream.reraise()
            return self._raised(error, stream.last)
        stream.reraise()
        if verdict is None or isinstance(verdict, str):
            return _printable(cut(verdict, LONGEST_SAYING)) if verdict else None
        return f"it returned {type(verdict).__name__}: expected a text that says what is wrong, or None"

    def _raised(self, error: BaseException, last: Record | None) -> str:
        try:
            message = str(error)
        except Exception as unspeakable:  # noqa: BLE001 - an author's exception may fail at saying what it is
            message = f"its message can't be read ({type(unspeakable).__name__})"
        if last and not self._case.shown:
            # Most often it is about the result in hand, and quotes it.
            message = scrub(message, [last.parameter, last.result])
        where = f" at {place}" if (place := _place(error, self._function)) else ""
        about = f", after #{last.index} {show(last.parameter, shown=self._case.shown)}" if last else ""
        return _printable(f"it raised {type(error).__name__}{where}{about}: {cut(message)}")


class _Stream:
    """The good results, one by one.

    It keeps an error of the journal's, which is no fault of the function that reads it.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._good = (record for record in records if record.kind is Kind.OK)
        self._error: Exception | None = None
        self.last: Record | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Json, Json]:
        try:
            self.last = next(self._good)
        except StopIteration:
            raise
        except Exception as error:
            self._error = error
            raise
        return self.last.parameter, self.last.result

    def reraise(self) -> None:
        """Raise what reading has raised, also if the function has swallowed it: it hasn't seen all results then."""
        if self._error:
            raise self._error


def _printable(text: str) -> str:
    # A lone surrogate, which UTF-8 can't hold, would end the task where it logs the message.
    return text.encode(errors="backslashreplace").decode()


def _place(error: BaseException, function: Callable[..., Any]) -> str | None:
    code = getattr(inspect.unwrap(getattr(function, "func", function)), "__code__", None)
    if code is None:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == code.co_filename]
    return f"{Path(code.co_filename).name}:{lines[-1]}" if lines else None
