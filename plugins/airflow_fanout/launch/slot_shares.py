"""What the engines of a fetch get of its slots, and of its requests at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from airflow_fanout.control.frames import SlotRange
from airflow_fanout.launch.messages import BudgetUse, ReservedSlots


def shared_out(whole: ReservedSlots, uses: Mapping[int, BudgetUse], turn: int) -> dict[int, ReservedSlots]:
    """Return the part of each engine, by its number.

    :param whole: what there is for all engines together.
    :param uses: what each engine has said last.
    :param turn: who gets what can't be divided changes with this number.
    """
    places = sorted(uses)
    places = places[turn % len(places) :] + places[: turn % len(places)]
    needs = [max(0, uses[place].needs - uses[place].held) for place in places]
    slots = _slots(whole.slots, needs)
    at_once = _at_once(whole.at_once, {place: uses[place] for place in places})
    share_per_s = whole.share_per_s / len(places)
    return {
        place: replace(whole, slots=of_place, share_per_s=share_per_s, at_once=at_once[place])
        for place, of_place in zip(places, slots, strict=True)
    }


def _slots(slots: Sequence[SlotRange], needs: Sequence[int]) -> list[tuple[SlotRange, ...]]:
    """Return the slots of each engine, in the ratio of their needs."""
    by_range = [each.parts(needs) for each in slots] if any(needs) else []
    return [tuple(parts[number] for parts in by_range if parts[number].count) for number in range(len(needs))]


def _at_once(limit: int | None, uses: Mapping[int, BudgetUse]) -> dict[int, int | None]:
    """Return how many requests each engine may have under way, so that they never have more together.

    An engine that is to have fewer keeps what it has until it says so; the others wait for that.
    """
    if limit is None:
        return dict.fromkeys(uses)
    has = {place: use.has_at_once for place, use in uses.items()}
    busy = [place for place, use in uses.items() if use.needs or use.has_at_once]
    at_once: dict[int, int | None] = dict.fromkeys(uses, 0)
    for number, place in enumerate(busy):
        share = limit // len(busy) + (number < limit % len(busy))
        free = limit - sum(many for other, many in has.items() if other != place)
        allowed = max(0, min(share, free))
        at_once[place], has[place] = allowed, max(has[place], allowed)
    return at_once
