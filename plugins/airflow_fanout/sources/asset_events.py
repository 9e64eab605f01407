"""A list of parameters that comes with the asset events that have started the run."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_fanout.errors import BadSetting
from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.source import ListSource
from airflow_fanout.sources.stream import Stream
from airflow_fanout.sources.values import BadItem, to_json

if TYPE_CHECKING:
    from airflow_fanout.sources.source import SourceContext

EVENTS = "triggering_asset_events"


class AssetEvents(ListSource, frozen=True, kw_only=True):
    """A list of parameters in the `extra` of the asset events that have started the run, in the order of the events.

    :param asset: the asset, or its name, whose events count.
    :param items: the name in `extra` under which the list is, as a list of parameters.
    """

    asset: Any
    items: str = "items"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise BadSetting("asset", self.asset, "an Asset, or the name of one")
        if not isinstance(self.items, str) or not self.items.strip():
            raise BadSetting("items", self.items, "the name in the event's `extra`, such as 'customers'")

    def __str__(self) -> str:
        return f"the events of the asset {self.name!r}"

    @property
    def name(self) -> Any:
        """The asset's name."""
        return getattr(self.asset, "name", self.asset)

    @property
    def started_by(self) -> str | None:
        """The name of the asset whose events have to start the run."""
        return str(self.name)

    def dataset(self) -> None:
        """Return that nothing is read that has a name: Airflow itself knows the asset."""

    def check(self, access: SourceContext, *, names: Sequence[str]) -> None:  # noqa: ARG002 - items have what they have
        """Look at all events.

        :raises UnusableList: if there is none, or one has no list.
        """
        for _ in self._lists(access):
            pass

    def open(self, access: SourceContext, *, names: Sequence[str]) -> Stream:  # noqa: ARG002 - items have what they have
        """Return the items of all events."""
        return Stream(lambda _: self._read(access))

    def _read(self, access: SourceContext) -> Generator[Any]:
        for place, items in self._lists(access):
            for number, item in enumerate(items, 1):
                try:
                    parameter = to_json(item)
                except BadItem as error:
                    raise UnusableList(str(self), f"{place}, item {number:,}: it has {error}") from None
                yield parameter

    def _lists(self, access: SourceContext) -> Iterator[tuple[str, Sequence[Any]]]:
        """Yield the list of each event, after the words for which one it is."""
        by_asset: Mapping[Any, Sequence[Any]] = access.values.get(EVENTS) or {}
        events = [event for asset in by_asset if asset.name == self.name for event in by_asset[asset]]
        if not events:
            why = "none has started this run. Schedule the DAG on the asset; a run that somebody triggers has no events"
            raise UnusableList(str(self), why)
        for number, event in enumerate(events, 1):
            extra = event.extra or {}
            place = f"event {number} of {len(events)}"
            if self.items not in extra:
                has = ", ".join(sorted(extra)) or "nothing"
                raise UnusableList(str(self), f"{place} has no {self.items!r} in its extra, which has: {has}")
            if not isinstance(extra[self.items], list | tuple):
                kind = type(extra[self.items]).__name__
                raise UnusableList(str(self), f"{place} has {self.items!r} of type {kind} in its extra, not a list")
            yield place, extra[self.items]
