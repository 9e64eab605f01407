"""What all checks are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from airflow_fanout.model.declared import Declared

if TYPE_CHECKING:
    # A DAG file that is parsed checks nothing.
    from airflow_fanout.validation.checks.running import CheckContext, RunningCheck


class Check(Declared, frozen=True):
    """What the results of a report must be, as its author has written it."""

    def resolved(self, resolve: Callable[[Any], Any]) -> Self:  # noqa: ARG002 - for those that have a function
        """Return the check with its function as `resolve` gives it."""
        return self

    def watch(self, case: CheckContext) -> RunningCheck:
        """Begin to look at a run."""
        raise NotImplementedError
