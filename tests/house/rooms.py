"""Rooms, and the import arrows between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.house.source import PACKAGE, Module

Arrow = tuple[str, str]


def on_the_root(modules: Iterable[Module]) -> list[str]:
    """Return the modules that are in no room."""
    return [module.path.stem for module in modules if len(module.path.parts) == 1 and module.name]


def rooms(modules: Iterable[Module]) -> list[str]:
    """Return the folders directly below the package."""
    return sorted({module.path.parts[0] for module in modules if len(module.path.parts) > 1})


def arrows(modules: Sequence[Module]) -> set[Arrow]:
    """Return who imports whom; a module on the root is a room of its own, as it is among the layers."""
    places = {*rooms(modules), *on_the_root(modules)}
    every = {(_room(module.name), _room(name)) for module in modules if module.name for name in module.imported}
    return {(start, end) for start, end in every if start != end and end in places}


def upwards(arrows: Iterable[Arrow], contracts: Iterable[Mapping[str, Any]]) -> list[Arrow] | None:
    """Return the arrows to a higher layer or within one, by import-linter's contracts; `None` if none has layers."""
    levels = [_levels(contract) for contract in contracts if contract["type"] == "layers"]
    if not levels:
        return None
    return sorted(
        (start, end)
        for start, end in arrows
        if any(start in level and end in level and level[start] >= level[end] for level in levels)
    )


def cycles(arrows: Iterable[Arrow]) -> list[list[str]]:
    """Return the groups of rooms each of which reaches all others of its group."""
    ahead = defaultdict(set)
    for start, end in arrows:
        ahead[start].add(end)
    reached = {start: _reached(start, ahead) for start in list(ahead)}
    groups = {
        frozenset(other for other in within if start in reached.get(other, ())) for start, within in reached.items()
    }
    return sorted(sorted(group) for group in groups if group)


def _room(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def _levels(contract: Mapping[str, Any]) -> dict[str, int]:
    """Return each room's layer, 0 for the highest."""
    return {
        _room(name.strip().removeprefix(f"{PACKAGE}.")): number
        for number, layer in enumerate(contract["layers"])
        for name in layer.split("|")
    }


def _reached(start: str, ahead: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    following = [*ahead[start]]
    while following:
        room = following.pop()
        if room not in reached:
            reached.add(room)
            following += ahead.get(room, ())
    return reached
