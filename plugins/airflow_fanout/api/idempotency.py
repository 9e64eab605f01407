"""Keys by which a server knows a request again that it has carried out already.

The header is that of draft-ietf-httpapi-idempotency-key-header, or an API's own; the key is a UUID (RFC 9562), which
most of these APIs ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import NAMESPACE_OID, uuid5

from airflow_fanout import codec
from airflow_fanout.api.compiled import Compiled
from airflow_fanout.api.compiled_batch import CompiledBatch
from airflow_fanout.api.request import Request
from airflow_fanout.codec import Json

# Returns the key of a parameter.
Keys = Callable[[Json], str]


def keys_of(list_id: str, generation: int) -> Keys:
    """Return what gives each parameter its key: the same in all tries of a generation, another one in the next.

    :param list_id: the id of the frozen list, which no other list has.
    """
    namespace = uuid5(NAMESPACE_OID, f"{list_id}/{generation}")
    return lambda parameter: str(uuid5(namespace, codec.canonical(parameter).decode()))


def compiled_of(request: Request, known: tuple[str, ...], keys: Keys) -> Compiled:
    """Return a request read once, which sends a key with each message if its author has named a header for it."""
    if request.batch is not None:
        return CompiledBatch(request, known)
    return Compiled(request, known) if request.idempotency_header is None else _Keyed(request, known, keys)


class _Keyed(Compiled):
    """A request whose messages each have their parameter's key."""

    def __init__(self, request: Request, known: tuple[str, ...], keys: Keys) -> None:
        super().__init__(request, known)
        self._name = request.idempotency_header or ""
        self._keys = keys

    def parts(self, value: Json) -> tuple[str, Mapping[str, str], bytes | None]:
        """Return the target, headers and body of a parameter's message."""
        target, headers, body = super().parts(value)
        return target, {**headers, self._name: self._keys(value)}, body
