"""The answer to a request for many parameters, divided among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from airflow_fanout.api.batch import Batch
from airflow_fanout.api.result import PartMissing, ResultPath
from airflow_fanout.api.template import text_of
from airflow_fanout.codec import Json
from airflow_fanout.model import parameter
from airflow_fanout.model.outcome import Failure, Kind, Outcome

# What says whose an item is: the values of its fields as texts, since APIs write a number as a text and vice versa.
Key = tuple[str, ...]


class NotSplit(ValueError):
    """An answer that can't be divided among the parameters of its batch."""


class Splitter:
    """Divides answers among the parameters that were asked for.

    :param empty_is_null: whether an empty item counts as none.
    """

    def __init__(self, batch: Batch, *, empty_is_null: bool) -> None:
        self._batch = batch
        self._result = ResultPath(batch.item, empty_is_null=empty_is_null)
        self._paths = [(path, ResultPath(path)) for path in batch.fields_by_path]

    def key_of(self, value: Json) -> Key | None:
        """Return what says which item is a parameter's; `None` if that is its position."""
        if not self._batch.fields:
            return None
        values = parameter.fields(value)
        return tuple(text_of(values[field]) for field in self._batch.fields)

    def outcomes(self, items: Json, members: Sequence[Json], status: int) -> list[Outcome]:
        """Return each parameter's outcome, in order.

        :param items: what the answer has at the request's `result`; null for nothing.
        :raises NotSplit: when it isn't known which item is whose, so that none of them can be trusted.
        """
        if not self._batch.fields:
            return [self._outcome(item, status) for item in self._by_position(items, len(members))]
        keys = [self.key_of(member) for member in members]
        by_key = self._keyed(items) if self._batch.keyed_by is not None else self._by_fields(items)
        known = set(keys)
        if unknown := [place for key, places in by_key.items() if key not in known for place, _ in places]:
            raise NotSplit(
                f"the answer has {len(unknown):,} items that belong to no parameter of the batch, the first of them at "
                f"place {min(unknown) + 1:,}"
            )
        return [self._of_key(by_key.get(key or (), []), status) for key in keys]

    def _by_position(self, answer: Json, count: int) -> list[Json]:
        items = self._list(answer)
        if len(items) != count:
            raise NotSplit(
                f"the answer has {len(items):,} items for the {count:,} parameters of the batch, and which is whose is "
                "known by the position only. If the API leaves items out, write Batch(by=…)"
            )
        return items

    def _by_fields(self, items: Json) -> Mapping[Key, list[tuple[int, Json]]]:
        by_key: dict[Key, list[tuple[int, Json]]] = defaultdict(list)
        for place, item in enumerate(self._list(items)):
            try:
                key = tuple(text_of(path.of(item)) for _, path in self._paths)
            except PartMissing as error:
                raise NotSplit(f"item {place + 1:,}: {error}") from None
            by_key[key].append((place, item))
        return by_key

    def _keyed(self, items: Json) -> Mapping[Key, list[tuple[int, Json]]]:
        if not isinstance(items, dict | None):
            raise NotSplit(f"the items are of type {type(items).__name__}: `keyed_by` needs an object")
        return {(key,): [(place, item)] for place, (key, item) in enumerate((items or {}).items())}

    def _list(self, items: Json) -> list[Json]:
        if not isinstance(items, list | None):
            hint = ", or Batch(keyed_by=…) if it is keyed by a field of the parameters" * isinstance(items, dict)
            raise NotSplit(f"the items are of type {type(items).__name__}: `result` must lead to a list{hint}")
        return list(items or ())

    def _of_key(self, items: list[tuple[int, Json]], status: int) -> Outcome:
        if len(items) == 1:
            return self._outcome(items[0][1], status)
        if not items and self._batch.missing == "null":
            return Outcome(Kind.NULL, status=status)
        text = f"the answer has {len(items):,} items for this parameter" if items else "the answer has no item for it"
        return _invalid("NotSplit", text, status)

    def _outcome(self, item: Json, status: int) -> Outcome:
        try:
            result = self._result.of(item)
        except PartMissing as error:
            return _invalid("PartMissing", str(error), status)
        return Outcome(Kind.NULL if result is None else Kind.OK, result, status)


def _invalid(name: str, text: str, status: int) -> Outcome:
    return Outcome(Kind.INVALID, status=status, failure=Failure(name, text))
