"""What a report's owner demands of the results, as small values.

All of them look at the results in the same reading of the journal, and each `Over` in one more of its own.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

from airflow_fanout import codec
from airflow_fanout.api.result import Absence, Part, PartMissing, check_path, shown
from airflow_fanout.api.result import Path as FieldPath
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import scrub
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.model.settings import check_at_least, check_share, check_whole
from airflow_fanout.preflight.signatures import check_over
from airflow_fanout.staging.history import MOST_RUNS, GoodRun, History
from airflow_fanout.staging.seen import Seen
from airflow_fanout.validation.verdict import Finding, cut, part_of, show

# What an author's function says is for people, and may be a list of what it has found.
LONGEST_SAYING = 2_000

Pairs = Iterator[tuple[Json, Json]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What checks get to know of a run before they look at its results.

    :param records: gives one record for each parameter that has any, anew each time it is called.
    :param history: the good runs of the report.
    :param samples: how many of its findings a check names.
    :param shown: whether parameters and values appear as they are, or masked.
    """

    records: Callable[[], Iterable[Record]]
    history: History
    samples: int = 3
    shown: bool = False


class Watch:
    """A check at work on one run."""

    def add(self, record: Record) -> None:
        """Look at a good result; each one comes by once, in the journal's order."""

    def problem(self, now: GoodRun) -> str | None:
        """Return what is wrong, in words for the report's owner; `None` if nothing is.

        :param now: what the run is like, if nothing is.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give up what was held."""


class Inspection:
    """The checks of a report at work on one run, until they are closed."""

    def __init__(self, checks: Iterable[Check], case: Case) -> None:
        self._open = ExitStack()
        self._watches = [(str(check), self._open.enter_context(closing(check.watch(case)))) for check in checks]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def add(self, record: Record) -> None:
        """Show a record to all checks."""
        if record.kind is Kind.OK:
            for _, watch in self._watches:
                watch.add(record)

    def findings(self, now: GoodRun) -> list[Finding]:
        """Return the checks that fail, once all records were shown."""
        found = [(check, watch.problem(now)) for check, watch in self._watches]
        return [Finding(check, problem) for check, problem in found if problem]


class _Samples:
    """Counts findings, and keeps the first few of them."""

    def __init__(self, case: Case) -> None:
        self.count = 0
        self._most = case.samples
        self._shown = case.shown
        self._kept: list[str] = []

    def add(self, record: Record, say: Callable[[], str] | None = None) -> None:
        self.count += 1
        if len(self._kept) < self._most:
            said = f": {cut(say())}" if say else ""
            self._kept.append(f"#{record.index} {show(record.parameter, shown=self._shown)}{said}")

    def __str__(self) -> str:
        return f": {'; '.join(self._kept)}" if self._kept else ""


# --- the form of a result -------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResultSchema:
    """Every good result fits a JSON Schema (https://json-schema.org, draft 2020-12 unless `$schema` says another).

    :param schema: the schema, as a dict; it may refer to parts of itself only. A `format` is demanded, too.
    """

    schema: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.schema, Mapping):
            raise BadSetting("schema", self.schema, "a JSON Schema, as a dict")
        _validator(self.schema)

    def __str__(self) -> str:
        return "ResultSchema"

    def watch(self, case: Case) -> Watch:
        """Begin to look at a run."""
        return _SchemaWatch(_validator(self.schema), case)


def _validator(schema: Mapping[str, Any]) -> Any:
    # Compiled, so that it can look at every result; loaded by the reports that use it only.
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(dict(schema), validate_formats=True, retriever=_elsewhere)
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"[{step!r}]" for step in error.instance_path)
        value = error.instance if place else dict(schema)
        raise BadSetting(f"schema{place}", value, f"a JSON Schema ({error.message})") from error
    except ValueError as error:
        raise BadSetting("schema", dict(schema), f"a JSON Schema ({error})") from error


def _elsewhere(address: str) -> Json:
    # The library would ask the network or the disk for it, whenever the DAG file is parsed.
    raise ValueError(f"{address} is outside of the schema; put it under $defs")


class _SchemaWatch(Watch):
    def __init__(self, validator: Any, case: Case) -> None:
        self._validator = validator
        self._shown = case.shown
        self._found = _Samples(case)

    def add(self, record: Record) -> None:
        result = record.result
        if not self._validator.is_valid(result):
            self._found.add(record, lambda: self._fault(result))

    def problem(self, now: GoodRun) -> str | None:  # noqa: ARG002 - other checks compare
        return f"{self._found.count:,} results don't fit{self._found}" if self._found.count else None

    def _fault(self, result: Json) -> str:
        fault = next(iter(self._validator.iter_errors(result)))
        if self._shown:
            return f"{_joined(fault.instance_path)}: {fault.message}"
        # The message quotes the value, and the path the names of its fields; the schema is the author's own.
        path = _unquoted(fault.instance_path, result, {str(step) for step in fault.schema_path})
        return f"{_joined(path)} breaks {_joined(fault.schema_path)}"


def _joined(path: Iterable[object]) -> str:
    return "/".join(map(str, path)) or "the result"


def _unquoted(path: Iterable[str | int], value: Json, known: set[str]) -> Iterator[str]:
    for step in path:
        if isinstance(value, list) and isinstance(step, int):
            yield str(step)
            value = value[step]
        else:
            # A number here is the name of a field that looks like one.
            yield step if isinstance(step, str) and step in known else "…"
            value = value.get(step) if isinstance(value, dict) else None


@dataclass(frozen=True)
class Unique:
    """No two good results have the same value in a field.

    :param field: the dotted path of the field in a result, or a tuple where a name has a dot. A result that doesn't
        have it, or null, isn't looked at; if no result has it, the check fails, since the name must be wrong.
    """

    field: FieldPath

    def __post_init__(self) -> None:
        check_path("field", self.field)

    def __str__(self) -> str:
        return f"Unique({shown(self.field)})"

    def watch(self, case: Case) -> Watch:
        """Begin to look at a run."""
        return _UniqueWatch(self.field, case)


class _UniqueWatch(Watch):
    def __init__(self, field: FieldPath, case: Case) -> None:
        self._part = Part(field)
        self._absence = Absence(field)
        self._shown = case.shown
        self._seen = Seen()
        self._found = _Samples(case)

    def add(self, record: Record) -> None:
        try:
            value = self._part.of(record.result)
        except PartMissing:
            value = None
        if not self._absence.is_known:
            self._absence.look(record.result)
        if value is not None and not self._seen.add(codec.canonical(value)):
            self._found.add(record, lambda: show(value, shown=self._shown))

    def problem(self, now: GoodRun) -> str | None:  # noqa: ARG002 - other checks compare
        if instead := str(self._absence):
            return f"no result has this field, so nothing was compared; {instead}"
        if not self._found.count:
            return None
        return f"{self._found.count:,} results repeat the value of an earlier one{self._found}"

    def close(self) -> None:
        self._seen.close()


# --- how many of them -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class MaxEmpty:
    """At most a share of the good results is empty: `[]`, `{}` or `""`.

    :param share: from 0 to 1.
    """

    share: float

    def __post_init__(self) -> None:
        check_share("share", self.share)

    def __str__(self) -> str:
        return f"MaxEmpty({self.share!r})"

    def watch(self, case: Case) -> Watch:
        """Begin to look at a run."""
        return _EmptyWatch(self.share, case)


class _EmptyWatch(Watch):
    def __init__(self, share: float, case: Case) -> None:
        self._share = share
        self._good = 0
        self._found = _Samples(case)

    def add(self, record: Record) -> None:
        self._good += 1
        if record.result in ([], {}, ""):
            self._found.add(record)

    def problem(self, now: GoodRun) -> str | None:  # noqa: ARG002 - other checks compare
        if self._found.count <= part_of(self._good, self._share):
            return None
        return (
            f"{self._found.count:,} of {self._good:,} results are empty, "
            f"and {100 * self._share:g} % may be{self._found}"
        )


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The run is like the last good ones of earlier dates: about as many rows, and hardly more nulls.

    A row is an item of a result that is a list, else a result. Compared with the median, so that one odd run among
    the last ones doesn't matter.

    :param rows: by what share the number of rows may differ, from 0 on; 0.5 is from half to one and a half times.
    :param nulls: by how much the share of `null` outcomes may be larger, from 0 to 1.
    :param runs: how many good runs to look back.
    :param at_least: with fewer good runs than these there is nothing to compare with, and nothing is wrong.
    """

    rows: float = 0.5
    nulls: float = 0.1
    runs: int = 7
    at_least: int = 3

    def __post_init__(self) -> None:
        check_at_least("rows", self.rows, 0)
        check_share("nulls", self.nulls)
        check_whole("runs", self.runs)
        check_whole("at_least", self.at_least)
        if self.runs > MOST_RUNS:
            raise BadSetting("runs", self.runs, f"at most {MOST_RUNS:,}, since no more are remembered")
        if self.at_least > self.runs:
            raise BadSetting("at_least", self.at_least, f"at most runs={self.runs}, or nothing is ever compared")

    def __str__(self) -> str:
        return "Drift"

    def watch(self, case: Case) -> Watch:
        """Begin to look at a run."""
        return _DriftWatch(self, case.history)


class _DriftWatch(Watch):
    def __init__(self, check: Drift, history: History) -> None:
        self._check = check
        self._history = history

    def problem(self, now: GoodRun) -> str | None:
        past = self._history.before(now.as_of)[-self._check.runs :]
        if len(past) < self._check.at_least:
            return None
        found = [problem for problem in (self._rows(now, past), self._nulls(now, past)) if problem]
        if not found:
            return None
        return (
            f"{'; '.join(found)} (the median of {len(past)} good runs). "
            f"If it is to stay so, remove {self._history.path}, and runs are compared anew from the next ones on."
        )

    def _rows(self, now: GoodRun, past: list[GoodRun]) -> str | None:
        usual = Fraction(median(run.rows for run in past))
        if abs(now.rows - usual) <= part_of(usual, self._check.rows):
            return None
        return f"{now.rows:,} rows, usually {float(usual):,.0f}"

    def _nulls(self, now: GoodRun, past: list[GoodRun]) -> str | None:
        usual = median(run.null_share for run in past)
        # Rounded, since a difference of floats is a little beside the one that is meant.
        if round(now.null_share - usual, 9) <= self._check.nulls:
            return None
        return f"{100 * now.null_share:.1f} % of the outcomes are null, usually {100 * usual:.1f} %"


# --- whatever else --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Over:
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
        check_over(self.function)

    def __str__(self) -> str:
        from airflow_fanout.launch.shipping import describe  # it loads cloudpickle, which no value should

        return f"Over({describe(self.function)})"

    def watch(self, case: Case) -> Watch:
        """Begin to look at a run."""
        return _OverWatch(self.function, case)


class _OverWatch(Watch):
    def __init__(self, function: Callable[[Pairs], object], case: Case) -> None:
        self._function = function
        self._case = case

    def problem(self, now: GoodRun) -> str | None:  # noqa: ARG002 - other checks compare
        stream = _Stream(self._case.records())
        try:
            said = self._function(stream)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an author's function may raise anything
            stream.reraise()
            return self._raised(error, stream.last)
        stream.reraise()
        if said is None or isinstance(said, str):
            return _printable(cut(said, LONGEST_SAYING)) if said else None
        return f"it returned {type(said).__name__}: expected a text that says what is wrong, or None"

    def _raised(self, error: BaseException, last: Record | None) -> str:
        message = _words(error)
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


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unspeakable:  # noqa: BLE001 - an author's exception may fail at saying what it is
        return f"its own text can't be had ({type(unspeakable).__name__})"


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


Check = ResultSchema | Unique | MaxEmpty | Drift | Over


def to_checks(value: object) -> tuple[Check, ...]:
    """Return the checks that an author has listed; raise `BadSetting` for what is none."""
    if not isinstance(value, list | tuple):
        raise BadSetting("checks", value, "a tuple of checks, such as (MaxEmpty(0.2),)")
    for place, check in enumerate(value):
        if not isinstance(check, Check):
            raise BadSetting(f"checks[{place}]", check, _expected(check))
    return tuple(value)


def _expected(found: object) -> str:
    if isinstance(found, type) and issubclass(found, Check):
        return f"one with its arguments, {found.__name__}(…)"
    if callable(found):
        return "a check; a function is one as Over(function)"
    return "a check: ResultSchema, Unique, MaxEmpty, Drift or Over"
