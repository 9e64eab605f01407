"""Which outcomes a report's author accepts: pure decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import check_share

if TYPE_CHECKING:
    # A DAG file that is parsed counts nothing.
    from airflow_fanout.validation.verdict import SampleGroup, Tally


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a report's author accepts.

    :param allow: kinds besides `ok` that count as good.
    :param min_coverage: the least share of good outcomes, from 0 to 1; the others may then be anything.
    """

    allow: frozenset[Kind] = frozenset()
    min_coverage: float = 1.0

    def __post_init__(self) -> None:
        check_share("min_coverage", self.min_coverage)

    def good(self, tally: Tally) -> int:
        """Return how many outcomes are good: `ok`, or of an allowed kind. What was not counted at all isn't."""
        return sum(tally.kinds[kind] for kind in {Kind.OK, *self.allow})

    def coverage(self, tally: Tally) -> float:
        """Return the share of good outcomes, from 0 to 1; 1 for an empty list.

        It is never rounded up to `min_coverage`: where it is at least that, the outcomes are accepted, and only there.
        """
        return share_of(self.good(tally), tally.total) if tally.total else 1.0

    def accept(self, tally: Tally) -> bool:
        """Return whether enough of the outcomes are good."""
        return self.coverage(tally) >= self.min_coverage

    def refused(self, tally: Tally) -> dict[SampleGroup, int]:
        """Return the causes that are no part of a good report, with their counts, the most frequent first."""
        refused = {cause: count for cause, count in tally.causes.items() if cause.kind not in self.allow}
        return dict(sorted(refused.items(), key=lambda item: -item[1]))


def to_kinds(names: Sequence[str]) -> frozenset[Kind]:
    """Return the kinds of outcome that an author has named; raise `BadSetting` for what is none."""
    if isinstance(names, str):
        raise BadSetting("allow", names, f'a tuple of kinds, such as ("{names}",)')
    if not isinstance(names, list | tuple | set | frozenset):
        raise BadSetting("allow", names, 'a tuple of kinds, such as ("null",)')
    try:
        return frozenset(Kind(name) for name in names)
    except ValueError:
        raise BadSetting("allow", tuple(names), f"kinds of outcome: {', '.join(Kind)}") from None


def share_of(part: int | Fraction, total: int | Fraction) -> float:
    """Return what share of a number a part of it is, as the nearest float; infinity of nothing.

    That is also how Python reads what an author writes: 9 of 10 are `0.9`, 5 of 6 are `5 / 6`, and 999,999 of 1,000,000
    are no `1.0`.
    """
    if not total:
        return math.inf if part else 0.0
    return float(Fraction(part) / total)
