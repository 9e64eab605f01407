"""Values that a function gets besides the parameter, such as a key of an API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from airflow_fanout.codec import Json
from airflow_fanout.model.functions import inner


class FunctionWithValues:
    """A function that gets values by keyword. A field of the parameter never takes the place of one of them.

    :param values: by their names; each call gets a copy of its own. They may be secrets: nothing shows them.
    """

    def __init__(self, function: Callable[..., Any], values: Mapping[str, Json]) -> None:
        self.function = function
        self.values = values
        # Its name and its place are those of the function.
        self.__wrapped__ = inner(function)

    def __repr__(self) -> str:
        return f"FunctionWithValues({self.function!r}, values={sorted(self.values)})"

    def __call__(self, session: Any, /, *args: Any, **fields: Any) -> Any:
        """Call the function; raise `TypeError` if a field of the parameter has the name of a value."""
        return self.function(session, *args, **fields, **deepcopy(dict(self.values)))
