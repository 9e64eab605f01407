"""What is sent for several parameters at once: a declarative request with `batch`, filled in for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from airflow_fanout.api.batch import is_repeated
from airflow_fanout.api.compiled import Compiled, segment
from airflow_fanout.api.request import Request
from airflow_fanout.api.template import Template, Tree, check_fields, text_of
from airflow_fanout.codec import Json
from airflow_fanout.model import parameter

# The fields of each parameter of a batch.
Values = Sequence[Mapping[str, Json]]


class CompiledBatch(Compiled):
    """A request for batches. Its `message` takes the parameters of a batch, in order.

    A list of one element with a field in it is repeated for each parameter. Anywhere else in the endpoint, the query
    and a form, the values of all parameters stand in a field's place, with commas between them.
    """

    def __init__(self, request: Request, known: tuple[str, ...]) -> None:
        super().__init__(request, known, tree=BatchTree, path=lambda template: _joined(template, segment))
        check_fields("batch", request.batch.fields, known)

    def parts(self, value: Json) -> tuple[str, Mapping[str, str], bytes | None]:
        """Return the target, headers and body of a batch's message.

        :raises ValueError: when one of the parameters' values can't stand where the request puts it.
        """
        values = [parameter.fields(member) for member in value]
        headers, body = self._always or (self._headers(values), self._body(values))
        return self._target(values), headers, body


class BatchTree(Tree):
    """A JSON value whose texts are templates, filled by a batch's values."""

    def __init__(self, value: Json) -> None:
        super().__init__(value)
        self.fill = _filler(value) if self.fields else self.fill


def _filler(value: Json) -> Callable[[Values], Json]:
    if is_repeated(value):
        element = Tree(value[0])
        return lambda batch: [element.fill(values) for values in batch]
    if isinstance(value, Mapping):
        named = [(name, _filler(branch)) for name, branch in value.items()]
        return lambda batch: {name: fill(batch) for name, fill in named}
    if isinstance(value, list | tuple):
        branches = [_filler(branch) for branch in value]
        return lambda batch: [fill(batch) for fill in branches]
    if isinstance(value, str):
        return _joined(Template(value), text_of)
    return lambda _batch: value


def _joined(template: Template, written: Callable[[Json], str]) -> Callable[[Values], str]:
    """Return a text in which a field stands for the values of all parameters."""

    def write(column: Sequence[Json]) -> str:
        if any("," in text_of(value) for value in column):
            raise ValueError("a value has a comma in it, and commas stand between the values of a batch")
        return ",".join(map(written, column))

    fill = template.filler(write)
    return lambda batch: fill({name: [values[name] for values in batch] for name in template.fields})
