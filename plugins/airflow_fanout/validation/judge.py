"""Judging a run: every result is counted and checked, then there is one verdict. Nothing here knows Airflow."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest, read_parameters
from airflow_fanout.staging.history import GoodRun, History
from airflow_fanout.staging.left_out import LeftOut, write_left_out
from airflow_fanout.staging.reconcile import CompletedSet
from airflow_fanout.staging.results import Results, check_fetched
from airflow_fanout.staging.sealed import write_sealed
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.drift import Drift
from airflow_fanout.validation.checks.max_empty import MaxEmpty
from airflow_fanout.validation.checks.running import CheckContext
from airflow_fanout.validation.inspection import Inspection
from airflow_fanout.validation.judging import Judging
from airflow_fanout.validation.rules import Rules
from airflow_fanout.validation.verdict import Finding, Tally, account


class Demands(msgspec.Struct, frozen=True):
    """What a report demands of its results.

    :param rules: which outcomes count as good, and the least share of them.
    :param checks: what else the results must be.
    :param samples: how many parameters of each cause an account shows.
    :param shown: whether these may be shown as they are.
    """

    rules: Rules
    checks: Sequence[Check] = ()
    samples: int = 3
    shown: bool = False

    def of_catch_up(self) -> Demands:
        """Return what is demanded of parameters that an earlier run left out: of the few of them, no shares."""
        rules = replace(self.rules, allow_partial=True, min_coverage=0.0)
        return replace(self, rules=rules, checks=[each for each in self.checks if not isinstance(each, MaxEmpty)])


class Judgement(msgspec.Struct, frozen=True):
    """What a judging has found.

    :param findings: the checks that failed.
    :param seconds: how long it took.
    """

    tally: Tally
    findings: Sequence[Finding]
    demands: Demands
    seconds: float

    @property
    def left_out(self) -> int:
        """How many parameters a later run has to ask for."""
        return self.demands.rules.left_out(self.tally)

    @property
    def is_good(self) -> bool:
        """Whether the results may be loaded."""
        return not self.findings and self.demands.rules.accept(self.tally)

    def account(self, place: str) -> str:
        """Return the account for people: the counts, the causes, what each check found, and what to do.

        :param place: where the results are.
        """
        return account(self.tally, self.demands.rules, place, self.findings, len(self.demands.checks))

    def summary(self) -> dict[str, Any]:
        """Return the counts, as plain JSON."""
        return {
            **self.tally.summary(),
            "coverage": self.demands.rules.coverage(self.tally),
            "left_out": self.left_out,
            "rows": self.tally.rows,
            "checks": len(self.demands.checks),
            "seconds": round(self.seconds, 3),
            "rate_per_s": round(self.tally.total / self.seconds, 1),
        }


class Judge:
    """Judges the results of one finished fetch.

    :param directory: the run's list, journal and history.
    :param manifest: what the list says of itself.
    :param demands: what the report demands.
    :param warn: takes a sentence about something that is no reason to fail.
    :param left_out: what there is to say of parameters that are left out, besides their number and causes; needed if
        the rules allow a run that is partial.
    :raises NotFetched: if the fetch of a part of the list hasn't come to its end.

    `progress` says how far it is, and `tally` has the counts so far.
    """

    def __init__(
        self,
        directory: ListDirectory,
        manifest: Manifest,
        demands: Demands,
        warn: Callable[[str], None],
        left_out: LeftOut | None = None,
    ) -> None:
        check_fetched(directory, manifest)
        self._directory, self._manifest, self._demands, self._warn = directory, manifest, demands, warn
        self._history = History(directory.history)
        self._left_out = left_out
        # A bit for each parameter.
        self._good = CompletedSet(range(manifest.count if left_out is not None else 0))
        self.progress = Judging(manifest.remaining)
        self.tally = Tally(total=manifest.remaining, samples=demands.samples, shown=demands.shown)

    def judge(self) -> Judgement:
        """Judge everything before anything fails, so that one account has all of it.

        Good results are marked as validated, with the digests of what was judged, and remembered for later runs.
        """
        begun = time.monotonic()
        results = Results(self._directory, self._manifest)
        findings = self._findings(results)
        judgement = Judgement(self.tally, findings, self._demands, time.monotonic() - begun)
        if judgement.is_good:
            self._leave_out(judgement)
            write_sealed(self._directory.validated, results.validated(self.tally.kinds, judgement.left_out))
            # A run that lacks something is nothing to compare others with.
            if not judgement.left_out:
                self._remember()
        return judgement

    def _findings(self, results: Results) -> list[Finding]:
        """Count all records, and return the checks that fail."""
        case = CheckContext(
            records=lambda: self.progress.watched("A check reads the results again", results.records()),
            history=self._history,
            samples=self._demands.samples,
            shown=self._demands.shown,
        )
        with Inspection(self._checks(), case) as inspection:
            for record in self.progress.watched("Judging the results", results.records()):
                self.tally.add(record)
                inspection.add(record)
                if self._left_out is not None:
                    self._good.set(record.index, good=record.kind in self._demands.rules.good_kinds)
            self.tally.add_not_tried(results.missing())
            return inspection.findings(self._run())

    def _leave_out(self, judgement: Judgement) -> None:
        """Write what is left out, for load to hand on."""
        location = self._directory.left_out
        if self._left_out is None or not judgement.left_out:
            with suppress(FileNotFoundError):
                location.delete()
            return
        causes = self._demands.rules.refused(self.tally)
        left_out = replace(
            self._left_out,
            count=judgement.left_out,
            nonce=secrets.token_hex(16),
            causes={str(cause): count for cause, count in causes.items()},
        )
        parameters = read_parameters(self._directory, range(self._manifest.count))
        write_left_out(location, left_out, (value for index, value in parameters if index not in self._good))

    def _checks(self) -> list[Check]:
        # A run for a part of the list is as unlike the others as it was meant to be.
        checks = [check for check in self._demands.checks if not (self._manifest.partial and isinstance(check, Drift))]
        if any(isinstance(check, Drift) for check in checks) and (unreadable := self._history.unreadable()):
            self._warn(
                f"{unreadable} lines of the history, {self._history.location}, can't be read, and Drift compares with "
                "the other runs only. Remove these lines; remove the file to begin a new history."
            )
        return checks

    def _remember(self) -> None:
        if self._manifest.partial:
            return
        try:
            self._history.add(self._run())
        except OSError as error:
            # The results are good, whatever later runs can be compared with.
            self._warn(f"This run could not be added to the history, {self._history.location}: {error}")

    def _run(self) -> GoodRun:
        return GoodRun(
            as_of=self._manifest.as_of,
            parameters=self._manifest.remaining,
            rows=self.tally.rows,
            null_share=round(self.tally.null_share, 6),
        )
