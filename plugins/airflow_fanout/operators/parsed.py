"""What only a DAG knows of an operator's arguments while its file is parsed: lists, templates, macros."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, XComArg
from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS

from airflow_fanout.adapters.openlineage import HasLineage
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import KindOf
from airflow_fanout.mongo.namespaces import collection_problem, database_problem
from airflow_fanout.preflight.arguments import is_given_later, is_resolved_later, wrong
from airflow_fanout.preflight.templates import is_template, texts, unknown_names, unknown_text
from airflow_fanout.sources.source import ListSource, Source
from airflow_fanout.staging.reference import OUTPUT, is_reference

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


def check_list(field: str, value: object) -> None:
    """Raise `BadSetting`, which shows no value, unless this is an extract's output, or will be."""
    if isinstance(value, XComArg):
        from airflow_fanout.operators.extract import ExtractOperator

        for operator, _ in value.iter_references():
            kind = getattr(operator, "operator_class", type(operator))
            if issubclass(kind, HasLineage) and not issubclass(kind, ExtractOperator):
                raise BadSetting(field, KindOf(text=f"the output of {operator.task_id}"), OUTPUT)
    elif not is_reference(value) and not is_given_later(value):
        raise BadSetting(field, KindOf(value), OUTPUT)


def check_kept(keep_days: object) -> None:
    """Raise `BadSetting` unless a load keeps what is staged for the cleaning, or removes it at once."""
    if keep_days is not None and (isinstance(keep_days, bool) or keep_days != 0):
        expected = (
            "0, to remove the run's staged data once it is loaded, or None. For how many days the others stay, "
            "CleanStagingOperator(keep_days=…) says"
        )
        raise BadSetting("keep_days", keep_days, expected)


def names_of(value: object) -> tuple[str, ...]:
    """Return the `names` of the extract whose output this is; none if it has none, or isn't known."""
    if not isinstance(value, XComArg):
        return ()
    names = {tuple(getattr(operator, "names", ())) for operator, _ in value.iter_references()}
    return names.pop() if len(names) == 1 else ()


def check_templates(
    field: str,
    value: object,
    names: Collection[str] = (),
    task: BaseOperator | None = None,
    own: Collection[str] = (),
) -> None:
    """Raise `BadSetting` for a template that names what Airflow doesn't know, of which Jinja makes an empty text.

    :param own: the values that this task has besides Airflow's.
    """
    if not any(is_template(text) for text in texts(value)):
        return
    if task is None or not task.has_dag():  # type: ignore[no-untyped-call] # Airflow's
        # The DAG isn't known yet: only a field's name is known to be none of its macros.
        unknown = [name for name in unknown_names(value, KNOWN_CONTEXT_KEYS) if name in names]
    else:
        unknown = unknown_names(value, {*KNOWN_CONTEXT_KEYS, *own, *(task.dag.user_defined_macros or ())})
    if unknown:
        raise wrong(field, value, unknown_text(field, unknown[0], names))


def check_partial(task: BaseOperator) -> None:
    """Raise `BadSetting` for what can't stand together with `allow_partial=True`, if a report of the DAG has that."""
    if task.has_dag() and any(getattr(other, "allow_partial", False) for other in task.dag.tasks):  # type: ignore[no-untyped-call] # Airflow's
        # A DAG file without such a report doesn't load it.
        from airflow_fanout.operators.partial import check_partial_reports

        check_partial_reports(task.dag)


def check_source(source: Source, task: BaseOperator) -> None:
    """Raise `BadSetting` for a source whose templates name what nobody knows, or whose events can't start the DAG."""
    check_templates("source", list(source.templates), task=task, own=("as_of", "day"))
    asset = source.started_by if isinstance(source, ListSource) else None
    if asset is None or not task.has_dag():  # type: ignore[no-untyped-call] # Airflow's
        return
    left: list[Any] = [getattr(task.dag.timetable, "asset_condition", None)]
    while left:
        condition = left.pop()
        if hasattr(condition, "objects"):
            left.extend(condition.objects)
        # An alias, or a reference by an address, leads to an asset that is known later.
        elif condition is not None and (not isinstance(condition, Asset) or condition.name == asset):
            return
    raise BadSetting("source", asset, "an asset on which the DAG is scheduled: DAG(schedule=[Asset(…)])")


def check_target(database: str, collection: str, task: BaseOperator) -> None:
    """Raise `BadSetting` for a name that MongoDB refuses; what a template gives is known when the task runs."""
    for field, name, problem_of in (
        ("database", database, database_problem),
        ("collection", collection, collection_problem),
    ):
        if is_resolved_later(name) or is_template(name):
            check_templates(field, name, task=task)
        elif problem := problem_of(name):
            raise wrong(field, name, problem)
