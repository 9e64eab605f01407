"""The arguments of a report's other tasks, with their templates rendered by its extract, as far as that can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS

from airflow_fanout.preflight.findings import Findings
from airflow_fanout.preflight.templates import is_template, of_its_task, texts, unknown_names, unknown_text

if TYPE_CHECKING:
    from airflow.sdk import Context

# An argument whose value only its own task will know.
UNKNOWN = object()


class Rendering:
    """Renders arguments of other tasks.

    :param extract: the extract that does it, in its own context.
    :param findings: takes what is wrong with a template, and what can't be looked at.
    """

    def __init__(self, extract: Any, context: Context, findings: Findings) -> None:
        self._extract = extract
        self._context = context
        self._findings = findings
        self._known = {*KNOWN_CONTEXT_KEYS, *(context["dag"].user_defined_macros or ()), *context}

    def value(self, task_id: str, name: str, value: Any) -> Any:
        """Return an argument with its templates rendered, or `UNKNOWN`."""
        if not any(is_template(text) for text in texts(value)) and not hasattr(value, "resolve"):
            return value
        if hasattr(value, "iter_references") and list(value.iter_references()):
            self._findings.skip(task_id, f"{name}: it is another task's XCom")
        elif theirs := of_its_task(value):
            self._findings.skip(task_id, f"{name}: its template uses {', '.join(theirs)}, which only {task_id} has")
        elif unknown := unknown_names(value, self._known):
            self._findings.add(
                task_id, [unknown_text(name, unknown_name, self._extract.names) for unknown_name in unknown]
            )
        else:
            try:
                return self._extract.render_template(value, self._context)
            except Exception as error:  # noqa: BLE001 - a template may raise anything
                problem = f"{name}: its template can't be rendered ({type(error).__name__}: {error})"
                self._findings.add(task_id, [problem])
        return UNKNOWN
