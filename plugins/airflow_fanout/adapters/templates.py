"""What our operators' templates give: texts, in every DAG."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from airflow.sdk import BaseOperator, Context

# Extract's output and a part of it; where these are templates, what they give is written as Python writes it.
REFERENCES = ("parameters", "shard")


class TextTemplates(BaseOperator):
    """An operator whose templates give texts, whatever `render_template_as_native_obj` says.

    With Airflow's native objects, the text "{0}" of a request is read as Python, and becomes a set; "1.10" becomes 1.1.
    """

    @property
    def render_template_as_native_obj(self) -> bool:
        """Whether templates give native objects: never, also where the DAG's default arguments say so."""
        return False

    @render_template_as_native_obj.setter
    def render_template_as_native_obj(self, value: bool | None) -> None:
        pass

    def render_template(
        self, content: Any, context: Context, jinja_env: Any = None, seen_oids: set[int] | None = None
    ) -> Any:
        """Render the templates in a value; what is no text in it stays what it is."""
        from jinja2.nativetypes import NativeEnvironment

        # Airflow gives the DAG's environment, whatever the operator's own would be.
        if jinja_env is None or isinstance(jinja_env, NativeEnvironment):
            jinja_env = self.get_template_env()
        return super().render_template(content, context, jinja_env, seen_oids)

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        for name in REFERENCES:
            if isinstance(text := getattr(self, name, None), str):
                # A text that isn't written as Python stays as it is; whoever takes it refuses it.
                with suppress(ValueError, SyntaxError):
                    setattr(self, name, ast.literal_eval(text))
