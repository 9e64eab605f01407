"""Whether the results are good enough, and the account of it: pure decisions and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from airflow_fanout import codec
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import mask, scrub
from airflow_fanout.outcome import Kind, Record

MOST_CAUSES = 20
# An exception may say a whole answer; a message that people read has no room for it.
LONGEST_TEXT = 400


class Cause(NamedTuple):
    """Why parameters have no result: what samples are grouped by."""

    kind: Kind
    status: int | None = None
    type: str | None = None
    where: str | None = None

    def __str__(self) -> str:
        parts = [str(self.kind), self.status and str(self.status), self.type, self.where and f"at {self.where}"]
        return " ".join(part for part in parts if part)


class Tally:
    """Counts records by kind and by cause, and keeps a few samples of each cause; flat in memory.

    :param total: the number of parameters.
    :param samples: how many samples to keep of each cause.
    :param shown: whether parameters appear as they are, or masked.
    """

    def __init__(self, *, total: int, samples: int = 3, shown: bool = False) -> None:
        self.total = total
        self.kinds: Counter[Kind] = Counter()
        self.causes: dict[Cause, int] = {}
        self._samples: dict[Cause, list[str]] = {}
        self._most = samples
        self._shown = shown

    def __repr__(self) -> str:
        return f"Tally({', '.join(f'{count} {kind}' for kind, count in self.kinds.items())})"

    def add(self, record: Record) -> None:
        """Count one record."""
        self.kinds[record.outcome.kind] += 1
        if record.outcome.kind is not Kind.OK:
            cause = self._counted(_cause(record), 1)
            if len(self._samples[cause]) < self._most:
                self._samples[cause].append(self._sample(record))

    def add_not_tried(self, indexes: Iterable[int]) -> None:
        """Count the parameters without a record."""
        for index in indexes:
            self.kinds[Kind.NOT_TRIED] += 1
            cause = self._counted(Cause(Kind.NOT_TRIED), 1)
            if len(self._samples[cause]) < self._most:
                self._samples[cause].append(f"#{index}")

    def _counted(self, cause: Cause, count: int) -> Cause:
        # A function that fails with a new type of error each time must not fill the memory.
        if cause not in self.causes and len(self.causes) >= MOST_CAUSES:
            cause = Cause(cause.kind)
        self.causes[cause] = self.causes.get(cause, 0) + count
        self._samples.setdefault(cause, [])
        return cause

    def _sample(self, record: Record) -> str:
        failure = record.outcome.failure
        name = codec.encode(record.parameter).decode() if self._shown else mask(record.parameter)
        if failure is None:
            return f"#{record.index} {name}"
        message = failure.message if self._shown else scrub(failure.message, record.parameter)
        if len(message) > LONGEST_TEXT:
            message = f"{message[:LONGEST_TEXT]}… ({len(message):,} characters)"
        times = f" after {record.attempts} attempts" if record.attempts > 1 else ""
        return f"#{record.index} {name}: {failure.type}: {message}{times}"

    def samples(self, cause: Cause) -> list[str]:
        """Return the samples that were kept of a cause."""
        return self._samples[cause]

    @property
    def coverage(self) -> float:
        """The share of parameters that are `ok`, from 0 to 1; 1 for an empty list."""
        return self.kinds[Kind.OK] / self.total if self.total else 1.0

    def summary(self) -> dict[str, Any]:
        """Return the counts as plain JSON."""
        return {
            "parameters": self.total,
            "ok": self.kinds[Kind.OK],
            "kinds": {kind.value: self.kinds[kind] for kind in Kind if self.kinds[kind]},
            "coverage": round(self.coverage, 6),
        }


def _cause(record: Record) -> Cause:
    outcome = record.outcome
    failure = outcome.failure
    return Cause(outcome.kind, outcome.status, failure and failure.type, failure and failure.where)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a report's author accepts.

    :param allow: kinds besides `ok` that count as good.
    :param min_coverage: the least share of good outcomes, from 0 to 1; the others may then be anything.
    """

    allow: frozenset[Kind] = frozenset()
    min_coverage: float = 1.0

    def __post_init__(self) -> None:
        coverage = self.min_coverage
        if isinstance(coverage, bool) or not isinstance(coverage, int | float) or not 0 <= coverage <= 1:
            raise BadSetting("min_coverage", coverage, "a share from 0 to 1")

    def accept(self, tally: Tally) -> bool:
        """Return whether enough of the outcomes are good."""
        # Whole counts and the share as it is written: 999,999 of 1,000,000 must not round up to all of them, and
        # 9 of 10 are 0.9, which floats don't say. What was not counted at all isn't good.
        good = sum(tally.kinds[kind] for kind in {Kind.OK, *self.allow})
        return good >= tally.total * Fraction(str(self.min_coverage))

    def refused(self, tally: Tally) -> dict[Cause, int]:
        """Return the causes that are no part of a good report, with their counts, the most frequent first."""
        found = {cause: count for cause, count in tally.causes.items() if cause.kind not in self.allow}
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def account(tally: Tally, rules: Rules, place: str) -> str:
    """Return the message of a failed validation: how much is missing, why, and what to do."""
    refused = rules.refused(tally)
    missing = f"{sum(refused.values()):,} of {tally.total:,} parameters"
    lines = [f"{missing} have no valid result{_demanded(rules)}. Nothing was loaded."]
    lines.append("By kind: " + ", ".join(f"{kind} {tally.kinds[kind]:,}" for kind in Kind if tally.kinds[kind]) + ".")
    for cause, count in refused.items():
        lines.append(f"  {count:,} × {cause}")
        lines += [f"      {sample}" for sample in tally.samples(cause)]
    lines.append(
        "To request only these again, clear the fetch task with its downstream tasks. Every outcome is in the "
        f"journal, {place}."
    )
    return "\n".join(lines)


def _demanded(rules: Rules) -> str:
    return "" if rules.min_coverage == 1 else f" ({100 * rules.min_coverage:g} % must be good)"
