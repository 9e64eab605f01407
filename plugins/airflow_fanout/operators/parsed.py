"""What can be known of an operator's arguments while its DAG file is parsed: a mistake there is an import error."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS

from airflow_fanout import codec
from airflow_fanout.adapters.border import OUTPUT, KindOf, is_yes, whole_number
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.shipping import check_function
from airflow_fanout.model.parameter import check_names
from airflow_fanout.mongo.namespaces import collection_problem, database_problem
from airflow_fanout.operators.errors import WrongArgument
from airflow_fanout.preflight.fields import unnamed_key, written_problems
from airflow_fanout.preflight.templates import is_template, texts, unknown_names

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


def check_text(field: str, value: object, example: str, *, templated: bool = False) -> None:
    """Raise `BadSetting` unless the value is a text with something in it.

    :param templated: whether Airflow renders templates in it, and another task's XCom may give it.
    """
    if templated and _is_resolved_later(value):
        return
    if not isinstance(value, str) or not value.strip():
        shown = value if isinstance(value, str | int | float | None) else KindOf(value)
        raise BadSetting(field, shown, f"a text, such as {example!r}")
    if not templated and is_template(value):
        raise BadSetting(field, value, f"a text such as {example!r}: Airflow renders no template in it")


def check_number(field: str, value: object) -> None:
    """Raise `BadSetting` unless the value is a whole number from 1 on, or a template that may give one."""
    if not (isinstance(value, str) and is_template(value)) and not _is_resolved_later(value):
        whole_number(field, value)


def check_limit(value: Any) -> Any:
    """Return a limit; raise `BadSetting` unless it is a number, nothing, or a template that may give one."""
    if value is not None and str(value).strip() not in ("", "None"):
        check_number("limit", value)
    return value


def check_only(value: Any) -> Any:
    """Return a selection; raise `BadSetting`, which shows no value, unless it is a list, or a template of one."""
    later = _is_resolved_later(value) or (isinstance(value, str) and is_template(value))
    if not later and not isinstance(value, list | tuple | set | frozenset | None) and not _is_json_list(value):
        raise BadSetting("only", KindOf(value), "a list of parameters, or a template: {{ params.only | tojson }}")
    return () if value is None else value


def _is_json_list(value: object) -> bool:
    try:
        return isinstance(value, str) and isinstance(codec.decode(value or "[]"), list | None)
    except codec.NotJson:
        return False


def check_switch(field: str, value: object) -> None:
    """Raise `BadSetting` unless the value is a switch's, or a template that may give one."""
    if not (isinstance(value, str) and is_template(value)) and not _is_resolved_later(value):
        is_yes(field, value)


def check_list(field: str, value: object) -> None:
    """Raise `BadSetting`, which shows no value, unless this is an extract's output, or will be."""
    if isinstance(value, XComArg):
        if other := _other_output(value):
            raise BadSetting(field, KindOf(text=f"the output of {other}"), OUTPUT)
        return
    listed = [value] if isinstance(value, Mapping) else value
    is_reference = (
        isinstance(listed, Sequence)
        and bool(listed)
        and not isinstance(listed, str)
        and all(isinstance(one, Mapping) and "directory" in one for one in listed)
    )
    if not is_reference and not _is_resolved_later(value) and not (isinstance(value, str) and is_template(value)):
        raise BadSetting(field, KindOf(value), OUTPUT)


def _other_output(value: XComArg) -> str | None:
    """Return which operator of ours it is the output of, if that is no extract."""
    from airflow_fanout.adapters.lineage import HasLineage
    from airflow_fanout.operators.extract import ExtractOperator

    for operator, _ in value.iter_references():
        kind = getattr(operator, "operator_class", type(operator))
        if issubclass(kind, HasLineage) and not issubclass(kind, ExtractOperator):
            return str(operator.task_id)
    return None


def _is_resolved_later(value: object) -> bool:
    # XComs, and the arguments of mapped task groups.
    return hasattr(value, "resolve")


def names_of(value: object) -> tuple[str, ...]:
    """Return the `names` of the extract whose output this is; none if it has none, or isn't known."""
    if not isinstance(value, XComArg):
        return ()
    found = {tuple(getattr(operator, "names", ())) for operator, _ in value.iter_references()}
    return found.pop() if len(found) == 1 else ()


def check_request(request: object, names: Sequence[str], task: BaseOperator | None = None) -> None:
    """Raise what is wrong with a request, as it is written.

    :param names: of the parameters' fields; none if they aren't known.
    :param task: whose templates they are; its DAG may have macros of its own.
    """
    if not isinstance(request, Request):
        if not callable(request):
            raise BadSetting("request", request, "a Request, or a function fetch(session, …parameter…)")
        check_function(request, names)
        return
    check_templates("request", request.template(), names, task)
    for problem in written_problems(request, names):
        raise problem


def check_templates(field: str, value: object, names: Collection[str] = (), task: BaseOperator | None = None) -> None:
    """Raise `BadSetting` for a template that names what Airflow doesn't know, of which Jinja makes an empty text."""
    if not any(is_template(text) for text in texts(value)):
        return
    macros = _macros(task)
    if macros is None:
        # The DAG isn't known yet: only a field's name is known to be none of its macros.
        known: Collection[str] = KNOWN_CONTEXT_KEYS
        unknown = [name for name in unknown_names(value, known) if name in names]
    else:
        unknown = unknown_names(value, {*KNOWN_CONTEXT_KEYS, *macros})
    if unknown:
        raise WrongArgument(field, value, unknown_text(field, unknown[0], names))


def unknown_text(field: str, name: str, names: Collection[str]) -> str:
    """Return what is wrong with `{{ name }}` where Airflow has no such value."""
    hint = f"for a field of the parameter write {{{name}}}, " if field == "request" or name in names else ""
    has = f"{field} has the template {{{{ {name} }}}}, and Airflow has no such value"
    return f"{has}, so an empty text would take its place: {hint}for a param of the run {{{{ params.{name} }}}}"


def check_target(database: str, collection: str, task: BaseOperator) -> None:
    """Raise `BadSetting` for a name that MongoDB refuses; what a template gives is known when the task runs."""
    for field, name, problem_of in (
        ("database", database, database_problem),
        ("collection", collection, collection_problem),
    ):
        if _is_resolved_later(name) or is_template(name):
            check_templates(field, name, task=task)
        elif problem := problem_of(name):
            raise WrongArgument(field, name, problem)


def check_key(key: object, as_of_field: object) -> tuple[str, ...]:
    """Return the key of a load; raise `BadSetting` unless it and the date's field are names that can stand together."""
    names = check_names(key, "key")  # type: ignore[arg-type] # what it is, is what is checked
    if not names:
        raise BadSetting("key", key, 'the fields that identify a document, such as ("tel",)')
    if not isinstance(as_of_field, str) or not as_of_field.isidentifier():
        raise BadSetting("as_of_field", as_of_field, "a field's name, such as 'as_of'")
    for field, name in (("as_of_field", as_of_field), *(("key", name) for name in names)):
        if name == "_id":
            raise BadSetting(field, name, "another field: `_id` is MongoDB's own")
    if as_of_field in names:
        raise BadSetting("key", names, f"a key without {as_of_field!r}, which is part of it anyway")
    return names


def check_written_key(key: Sequence[str], names: Sequence[str], as_of_field: str) -> None:
    """Raise `BadSetting` for a key that isn't among the parameters' names, in a load without a `document` function."""
    for problem in unnamed_key(key, dict.fromkeys(names), as_of_field) if names else ():
        raise WrongArgument("key", key, problem)


def _macros(task: BaseOperator | None) -> Mapping[str, Any] | None:
    if task is None or not task.has_dag():  # type: ignore[no-untyped-call] # Airflow's
        return None
    return task.dag.user_defined_macros or {}
