"""Some parameters' data is removed from all that is staged, of all DAGs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.errors import FanoutError
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.erasing import Wanted, count_wanted, erase_from_list
from airflow_fanout.staging.layout import CATCH_UP, LIST
from airflow_fanout.staging.left_out import LeftOuts, RunLeftOut, count_left_out, erase_left_out
from airflow_fanout.staging.store import Location, Store


def wanted(parameters: Sequence[Json]) -> Wanted:
    """Return what tells of a parameter whether it is one of these.

    It is if it is equal to one of them, or if it has all fields of one that is an object, with the same values.
    """
    exact = {codec.canonical(parameter) for parameter in parameters}
    fields = [
        {name: codec.canonical(value) for name, value in parameter.items()}
        for parameter in parameters
        if isinstance(parameter, dict)
    ]

    def is_wanted(parameter: Json) -> bool:
        if codec.canonical(parameter) in exact:
            return True
        return isinstance(parameter, dict) and any(
            all(name in parameter and codec.canonical(parameter[name]) == value for name, value in each.items())
            for each in fields
        )

    return is_wanted


class Erased(msgspec.Struct, kw_only=True):
    """What an erasure has done.

    :param lists: of how many lists it has removed parameters, or would.
    :param parameters: how many parameters, those that were left out for a later run included.
    :param files: how many files of results it has changed.
    :param alive: the runs that still go on, which were left as they are.
    :param failures: what can't be read or written, with the reason.
    """

    lists: int = 0
    parameters: int = 0
    files: int = 0
    alive: list[str] = []
    failures: list[str] = []

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Take what is wrong with one place for a reason to go on with the next one."""
        try:
            yield
        except FileNotFoundError:
            # The cleaning was faster.
            return
        except FanoutError as error:
            self.failures.append(str(error))
        except OSError as error:
            if error.filename is None:
                # Not about a file: whoever was asked about the run can't be reached.
                raise
            self.failures.append(f"{error.filename}: {error.strerror or error}")


def erase(store: Store, is_wanted: Wanted, is_alive: Callable[[str, str], bool], *, dry_run: bool = False) -> Erased:
    """Remove the data of parameters from everything that is staged; called again, it does what is left.

    :param is_wanted: tells of a parameter whether it is to be erased.
    :param is_alive: tells of a DAG's id and a run's whether that run still goes on.
    :param dry_run: whether to count only.
    """
    erased = Erased()
    # First what later runs would ask for again: a run that begins after this has it from its source only.
    for left_out in _left_outs(store, erased):
        with erased.going_on():
            count = count_left_out(left_out.file, is_wanted) if dry_run else erase_left_out(left_out.file, is_wanted)
            erased.parameters += count
            if count and not dry_run and left_out.read_head() is None:
                left_out.remove()
    for run_key in _runs(store, erased):
        with erased.going_on():
            _erase_run(store, run_key, is_wanted, is_alive, erased, dry_run=dry_run)
    return erased


def _erase_run(
    store: Store,
    run_key: str,
    is_wanted: Wanted,
    is_alive: Callable[[str, str], bool],
    erased: Erased,
    *,
    dry_run: bool,
) -> None:
    dag_id, run_id = layout.ids_of(run_key)
    for directory in _lists(store, run_key):
        with erased.going_on():
            if dry_run:
                count = count_wanted(directory, is_wanted)
            elif dag_id is None or run_id is None:
                erased.failures.append(f"{store.address(run_key)}: its name doesn't say which run it is")
                return
            elif (done := erase_from_list(directory, is_wanted, lambda: is_alive(dag_id, run_id))) is None:
                erased.alive.append(f"{dag_id}, {run_id}")
                return
            else:
                count = done.parameters
                erased.files += done.files
            erased.parameters += count
            erased.lists += count > 0


def _runs(store: Store, erased: Erased) -> Iterator[str]:
    for dag in layout.possible(store.names("")):
        # A file that somebody has put there is no DAG.
        with erased.going_on(), suppress(NotADirectoryError):
            yield from [f"{dag}/{name}" for name in layout.possible(store.names(dag))]


def _lists(store: Store, run_key: str) -> Iterator[ListDirectory]:
    """Yield the lists of a run, those of what earlier runs have left out included."""
    with suppress(NotADirectoryError):
        for key in layout.reports(run_key, store.names(run_key)):
            report = ReportDirectory(store, key)
            with suppress(NotADirectoryError):
                yield from [report.numbered(number) for number in report.numbers(LIST)]
                yield from [report.catch_up(number) for number in report.numbers(CATCH_UP)]


def _left_outs(store: Store, erased: Erased) -> Iterator[RunLeftOut]:
    for dag in layout.possible(store.names("")):
        reports = Location(store, layout.left_outs_below(dag))
        with erased.going_on(), suppress(NotADirectoryError):
            for name in reports.names():
                of_report = LeftOuts(store, f"{reports.key}/{name}")
                yield from [RunLeftOut(store, f"{of_report.key}/{run}") for run in of_report.names()]
