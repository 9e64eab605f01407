"""Which outcomes a report's author accepts: pure decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import check_flag, check_share

if TYPE_CHECKING:
    # A DAG file that is parsed counts nothing.
    from airflow_fanout.validation.verdict import SampleGroup, Tally


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a report's author accepts.

    :param allow: kinds besides `ok` that count as good.
    :param min_coverage: the least share of good outcomes, from 0 to 1; the others may then be anything.
    :param allow_partial: whether these others are left out, and a later run asks for them.
    """

    allow: frozenset[Kind] = frozenset()
    min_coverage: float = 1.0
    allow_partial: bool = False

    def __post_init__(self) -> None:
        check_share("min_coverage", self.min_coverage)

    def good(self, tally: Tally) -> int:
        """Return how many outcomes are good: `ok`, or of an allowed kind. What was not counted at all isn't."""
        return sum(tally.kinds[kind] for kind in self.good_kinds)

    @property
    def good_kinds(self) -> frozenset[Kind]:
        """The kinds of outcome that count as good."""
        return self.allow | {Kind.OK}

    def coverage(self, tally: Tally) -> float:
        """Return the share of good outcomes, from 0 to 1; 1 for an empty list.

        It is never rounded up to `min_coverage`: where it is at least that, the outcomes are accepted, and only there.
        """
        return share_of(self.good(tally), tally.total) if tally.total else 1.0

    def accept(self, tally: Tally) -> bool:
        """Return whether enough of the outcomes are good: with `allow_partial`, at least one."""
        if self.allow_partial and tally.total and not self.good(tally):
            return False
        return self.coverage(tally) >= self.min_coverage

    def left_out(self, tally: Tally) -> int:
        """Return how many parameters a later run has to ask for."""
        return tally.total - self.good(tally) if self.allow_partial else 0

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


def to_rules(allow: Sequence[str], min_coverage: float | None, *, allow_partial: bool) -> Rules:
    """Return what an author accepts; raise `BadSetting` for what can't be meant.

    :param min_coverage: all by default; with `allow_partial`, any.
    """
    check_flag("allow_partial", allow_partial)
    if allow_partial and min_coverage == 1:
        raise BadSetting("min_coverage", min_coverage, "a share below 1, or none, with allow_partial=True")
    least = (0.0 if allow_partial else 1.0) if min_coverage is None else min_coverage
    return Rules(allow=to_kinds(allow), min_coverage=least, allow_partial=allow_partial)


def share_of(part: int | Fraction, total: int | Fraction) -> float:
    """Return what share of a number a part of it is, as the nearest float; infinity of nothing.

    That is also how Python reads what an author writes: 9 of 10 are `0.9`, 5 of 6 are `5 / 6`, and 999,999 of 1,000,000
    are no `1.0`.
    """
    if not total:
        return math.inf if part else 0.0
    return float(Fraction(part) / total)
