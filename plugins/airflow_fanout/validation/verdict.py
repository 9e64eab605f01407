"""Whether the results are good enough, and the account of it: pure decisions and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import floor
from typing import Any, NamedTuple

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.masking import mask
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.privacy.telling import words_of
from airflow_fanout.validation.rules import Rules

MOST_CAUSES = 20
# An exception may say a whole answer; a message that people read has no room for it.
LONGEST_TEXT = 400
# A type's name, and a place in a file: an author may make them up.
LONGEST_NAME = 100
FAILED_CHECK = (
    "If a check is wrong, fix it, then clear the validate task. If the answers are wrong, clear the run from its "
    "extract task on: clearing fetch alone keeps the answers that it has."
)


class SampleGroup(NamedTuple):
    """Why parameters have no result: what samples are grouped by."""

    kind: Kind
    status: int | None = None
    type: str | None = None
    where: str | None = None

    def __str__(self) -> str:
        parts = [str(self.kind), self.status and str(self.status), self.type, self.where and f"at {self.where}"]
        return " ".join(part for part in parts if part)


class Finding(NamedTuple):
    """A check that failed, and what is wrong."""

    check: str
    problem: str


def show(value: Json, *, shown: bool) -> str:
    """Return a value for a message: as JSON if it may be shown as it is, else masked."""
    return codec.encode(value).decode() if shown else mask(value)


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text for a message, without what it has no room for."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


class Tally:
    """Counts records by kind and by cause, and keeps a few samples of each cause; flat in memory.

    `rows` is the number of rows: items of good results that are lists, else good results.

    :param total: the number of parameters.
    :param samples: how many samples to keep of each cause.
    :param shown: whether parameters appear as they are, or masked.
    """

    def __init__(self, *, total: int, samples: int = 3, shown: bool = False) -> None:
        self.total = total
        self.rows = 0
        self.kinds: Counter[Kind] = Counter()
        self.causes: dict[SampleGroup, int] = {}
        self._samples: dict[SampleGroup, list[str]] = {}
        self._most = samples
        self._shown = shown

    def __repr__(self) -> str:
        return f"Tally({', '.join(f'{count} {kind}' for kind, count in self.kinds.items())})"

    def add(self, record: Record) -> None:
        """Count one record."""
        self.kinds[record.kind] += 1
        if record.kind is Kind.OK:
            self.rows += len(record.result) if isinstance(record.result, list) else 1
            return
        failure = record.failure
        named = [part and cut(part, LONGEST_NAME) for part in (failure.type, failure.where)] if failure else ()
        cause = self._counted(SampleGroup(record.kind, record.status, *named))
        if len(self._samples[cause]) < self._most:
            self._samples[cause].append(self._sample(record))

    def add_not_tried(self, indexes: Iterable[int]) -> None:
        """Count the parameters without a record."""
        for index in indexes:
            self.kinds[Kind.NOT_TRIED] += 1
            cause = self._counted(SampleGroup(Kind.NOT_TRIED))
            if len(self._samples[cause]) < self._most:
                self._samples[cause].append(f"#{index}")

    def _counted(self, cause: SampleGroup) -> SampleGroup:
        # A function that fails with a new type of error each time must not fill the memory.
        if cause not in self.causes and len(self.causes) >= MOST_CAUSES:
            cause = SampleGroup(cause.kind)
        self.causes[cause] = self.causes.get(cause, 0) + 1
        self._samples.setdefault(cause, [])
        return cause

    def _sample(self, record: Record) -> str:
        failure = record.failure
        name = f"#{record.index} {show(record.parameter, shown=self._shown)}"
        if failure is None:
            return name
        words = words_of(failure, kind=record.kind, status=record.status, parameter=record.parameter)
        message = cut(failure.message if self._shown else words)
        times = f" after {record.attempts} attempts" if record.attempts > 1 else ""
        return f"{name}: {failure.type}: {message}{times}"

    def samples(self, cause: SampleGroup) -> list[str]:
        """Return the samples that were kept of a cause."""
        return self._samples[cause]

    @property
    def null_share(self) -> float:
        """The share of parameters that are `null`, from 0 to 1; 0 for an empty list."""
        return self.kinds[Kind.NULL] / self.total if self.total else 0.0

    def summary(self) -> dict[str, Any]:
        """Return the counts as plain JSON."""
        return {
            "parameters": self.total,
            "ok": self.kinds[Kind.OK],
            "kinds": {kind.value: self.kinds[kind] for kind in Kind if self.kinds[kind]},
        }


def account(tally: Tally, rules: Rules, place: str, findings: Sequence[Finding] = (), checks: int = 0) -> str:
    """Return the message of a failed validation: what is missing or wrong, why, and what to do.

    :param place: where the journal is.
    :param findings: the checks that failed.
    :param checks: how many there were.
    """
    lines: list[str] = []
    advice = [f"Every outcome is in the journal, {place}."]
    if findings:
        # An author's function may say several lines.
        problems = [f"  {check}: " + problem.replace("\n", "\n      ") for check, problem in findings]
        lines = [f"{len(findings)} of {checks} checks failed.", *problems]
        advice.insert(0, FAILED_CHECK)
    if not rules.accept(tally):
        lines = _missing(tally, rules) + lines
        which = "those without a valid result" if findings else "these"
        advice.insert(0, f"To request only {which} again, clear the fetch task with its downstream tasks.")
    return "\n".join([f"{lines[0]} Nothing was loaded.", *lines[1:], " ".join(advice)])


def _missing(tally: Tally, rules: Rules) -> list[str]:
    refused = rules.refused(tally)
    missing = f"{sum(refused.values()):,} of {tally.total:,} parameters"
    demanded = ""
    if rules.min_coverage not in (0, 1):
        # Rounded down, so that a share that isn't enough never reads as one that is.
        share = floor(10_000 * rules.coverage(tally)) / 100
        least = f"{100 * Decimal(str(rules.min_coverage)):f}"
        least = least.rstrip("0").rstrip(".") if "." in least else least
        demanded = f" ({share:g} % are good, and {least} % must be)"
    lines = [f"{missing} have no valid result{demanded}."]
    lines.append("By kind: " + ", ".join(f"{kind} {tally.kinds[kind]:,}" for kind in Kind if tally.kinds[kind]) + ".")
    for cause, count in refused.items():
        lines.append(f"  {count:,} × {cause}")
        lines += [f"      {sample}" for sample in tally.samples(cause)]
    return lines
