"""Which modules decide, and which tests are theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path("plugins/airflow_fanout")
TESTS = Path("tests")


@dataclass(frozen=True)
class Module:
    """A module with the tests that have to notice a change of it.

    :param name: the module below the package, dotted.
    :param tests: files below `tests/`, the quickest first.
    """

    name: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The module's file, below the repository's root."""
        return PACKAGE / f"{self.name.replace('.', '/')}.py"

    @property
    def test_paths(self) -> list[str]:
        """The tests' files, below the repository's root."""
        return [str(TESTS / name) for name in self.tests]


MODULES = (
    Module("control.throttle", ("control/test_throttle_steps.py", "control/test_throttle.py")),
    Module("control.concurrency", ("control/test_throttle_steps.py", "control/test_throttle.py")),
    Module("control.rate", ("control/test_throttle_steps.py", "control/test_throttle.py")),
    Module("control.budget", ("control/test_throttle_steps.py", "control/test_throttle.py")),
    Module("control.retry", ("values/test_retry.py",)),
    Module("api.ratelimit", ("control/test_ratelimit.py",)),
    Module("control.breaker", ("control/test_breaker.py",)),
    Module("control.quota", ("control/test_quota.py", "control/test_allowance.py")),
    Module("control.quiet", ("control/test_quiet.py",)),
    Module("control.allowance", ("control/test_allowance.py", "control/test_allotment.py")),
    Module("control.allotment", ("control/test_allotment.py",)),
    Module("control.forecast", ("control/test_allowance.py",)),
    Module("control.frames", ("control/test_frames.py",)),
    Module("control.shares", ("control/test_shares.py",)),
    Module("control.at_once", ("control/test_reservations.py",)),
    Module("control.reservations", ("control/test_reservations.py", "control/test_allotment.py")),
    Module("control.reserved", ("control/test_reserved.py", "budget/test_unused.py")),
    Module("control.demand", ("control/test_reserved.py",)),
    Module("control.offline", ("control/test_offline.py",)),
    Module("control.server_clock", ("control/test_reserved.py",)),
    Module("staging.reconcile", ("values/test_reconcile.py", "staging/test_results.py")),
    Module("validation.verdict", ("values/test_verdict.py",)),
    Module("model.as_of", ("values/test_as_of.py",)),
    Module("api.template", ("values/test_template.py", "values/test_request.py")),
    Module("staging.journal", ("staging/test_journal.py", "staging/test_resume.py")),
    Module("staging.resume", ("staging/test_resume.py",)),
    Module("mongo.batches", ("load/test_undated.py", "load/test_mongo.py")),
    Module("mongo.documents", ("load/test_documents.py", "load/test_types.py", "load/test_undated.py")),
    Module("mongo.identity", ("load/test_documents.py",)),
)
