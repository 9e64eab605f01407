"""What can be wrong with a task within its DAG and its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class NoList(FanoutError):
    """Extract has returned nothing that this task could take."""

    sentence: ClassVar[str] = (
        "There is no list: the extract task has returned nothing in this run. It was skipped, it hasn't run yet, "
        "its XCom was deleted, or its do_xcom_push is False. Clear the run from extract on. If extract may be "
        "skipped, use a trigger rule that skips this task with it; none_failed runs it anyway."
    )


@dataclass(eq=False)
class LoadBroke(FanoutError):
    """Load met an error of its own, or of the report's function, that it has no sentence for."""

    retry: ClassVar[bool] = True

    kind: str
    places: str

    sentence: ClassVar[str] = (
        "Load failed with {kind}, raised in: {places}. The error's text isn't shown, because it may "
        "hold personal data. If one of these lines is in the report's own file, fix it there; if not, report the "
        "lines as a bug. Load is safe to run again."
    )


@dataclass(eq=False)
class RefreshTokenBusy(FanoutError):
    """Other tasks have used the refresh token of a Variable for too long."""

    retry: ClassVar[bool] = True

    variable: str
    seconds: float

    sentence: ClassVar[str] = (
        'The refresh token in the Airflow Variable "{variable}" was in use by other tasks for {seconds:,.0f} s, so '
        "this task got no token. Look for a task that hangs; the next try asks again."
    )


@dataclass(eq=False)
class RefreshTokenHidden(FanoutError):
    """A Variable that was written has another value when it is read."""

    variable: str

    def __str__(self) -> str:
        return (
            f'The Airflow Variable "{self.variable}" can\'t keep the next refresh token: a secrets backend or the '
            f"environment (AIRFLOW_VAR_{self.variable.upper()}) has another value, which takes precedence. Remove it."
        )


@dataclass(eq=False)
class NoConditionalWrites(FanoutError):
    """An object storage that creates an object although it is there: two tasks could both take what one may have."""

    address: str
    package: str
    version: str
    lowest: str

    sentence: ClassVar[str] = (
        "{address} can't be the staging area: the same object was created there twice, so two tasks could overwrite "
        "each other's results. Either its server ignores If-None-Match, or {package} {version} doesn't send it; "
        "{package} does from version {lowest} on. Upgrade one of them, or set [fanout] staging to another place."
    )


@dataclass(eq=False)
class StorageDenied(FanoutError):
    """The object storage has refused what a task wanted to do."""

    address: str
    reason: str

    sentence: ClassVar[str] = (
        "The object storage has refused access to {address} ({reason}). The credentials of [fanout] staging need the "
        "rights to get, put, delete and list objects below its prefix. Grant them, then clear this task."
    )


@dataclass(eq=False)
class StorageFailed(FanoutError):
    """The object storage can't be reached, or has failed."""

    retry: ClassVar[bool] = True

    address: str
    problem: str

    sentence: ClassVar[str] = (
        "{address} can't be read or written: {problem}. Check the object storage and the connection in [fanout] "
        "staging; what was put there is kept, and the next try goes on with it."
    )


@dataclass(eq=False)
class StagingRemoved(FanoutError):
    """A run was loaded, and its report keeps no staged data after that."""

    path: str

    sentence: ClassVar[str] = (
        "{path}: the parameters and results of this run were removed once they were loaded, because its load has "
        "keep_days=0. Clear the run from its extract task on: it reads the list and requests everything again."
    )


@dataclass(eq=False)
class StagingErasing(FanoutError):
    """A parameter is being erased from a run's list and results, or that was interrupted."""

    retry: ClassVar[bool] = True

    path: str

    sentence: ClassVar[str] = (
        "{path}: a parameter is being erased from this run, or that was interrupted, so nothing of the run is used. "
        "Wait for the EraseOperator's task, or run it again. Then clear this task."
    )


@dataclass(eq=False)
class NotErased(FanoutError):
    """Something may still hold what is to be erased: a run that still goes on, or what can't be read or written."""

    retry: ClassVar[bool] = True

    runs: tuple[str, ...]
    failures: tuple[str, ...]

    def __str__(self) -> str:
        lines = [*(f"{run}: this run still goes on" for run in self.runs), *self.failures]
        listed = "".join(f"\n  {line}" for line in lines)
        return (
            f"{len(lines):,} places of the staging area may still hold what is to be erased. All others are done."
            f"{listed}\nAirflow tries this task again. If no try is left, clear it when these runs are over, and when "
            "what can't be read is repaired, or its run's directory removed by hand."
        )
