"""The values of a fetch: rendered in its task when it runs, and in nobody's sight."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_fanout import codec
from airflow_fanout.api.filled import filled
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import KindOf
from airflow_fanout.model.functions import FunctionWithValues
from airflow_fanout.preflight.values import check_no_field, is_open
from airflow_fanout.privacy.quoting import leaves

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_fanout.codec import Json


class TaskValues:
    """The values of one task, with the templates in them rendered.

    :param operator: whose templates they are.
    :param values: as the author has written them.
    :param names: of the parameters' fields, which no value may have.
    """

    def __init__(self, operator: BaseOperator, values: Mapping[str, Any], names: Collection[str]) -> None:
        for name in values:
            check_no_field(name, names)
        self._operator = operator
        self._values = values

    def into(self, request: Request | Callable[..., Any], context: Context) -> Request | Callable[..., Any]:
        """Return a request, or a function, that has the values."""
        if not self._values:
            return request
        values = self._rendered(context)
        return filled(request, values) if isinstance(request, Request) else FunctionWithValues(request, values)

    def hidden(self, context: Context) -> tuple[str, ...]:
        """Return the secrets among the values; from now on Airflow's log hides them, too."""
        secret = {name: value for name, value in self._values.items() if not is_open(value)}
        texts = tuple(leaf for value in self._rendered(context, secret).values() for leaf in leaves(value) if leaf)
        for text in texts:
            mask_secret(text)
        return texts

    def _rendered(self, context: Context, values: Mapping[str, Any] | None = None) -> dict[str, Json]:
        written = dict(self._values if values is None else values)
        rendered: dict[str, Json] = self._operator.render_template(written, context)
        for name, value in rendered.items():
            try:
                codec.plain(value)
            except codec.NotJson:
                raise BadSetting(f"values[{name!r}]", KindOf(value), "a value that JSON can hold") from None
        return rendered
