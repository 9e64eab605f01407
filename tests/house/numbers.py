"""All numbers of a house, and the page on which they are printed."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.house import contents, functions, rooms, source
from tests.house.rooms import Arrow
from tests.house.source import Module

LONG_FILE = 250


@dataclass(frozen=True, kw_only=True)
class House:
    """A package in numbers.

    :param upwards: the arrows that the layers contract forbids; `None` without such a contract.
    :param contract_lines: lines of import-linter's configuration, without comments and empty lines.
    :param long_files: files of more than 250 lines, with their lines.
    :param staging: files that know a name of a file or folder of the staging area.
    :param styles: the ways to serialise, with the number of files that use each.
    """

    root: list[str]
    rooms: list[str]
    arrows: set[Arrow]
    upwards: list[Arrow] | None
    cycles: list[list[str]]
    contract_lines: int
    long_files: dict[str, int]
    privates: int
    small_privates: int
    median_length: float
    staging: list[str]
    styles: dict[str, int]


def house(repository: Path) -> House:
    """Count a repository's package, `plugins/airflow_fanout`.

    :raises OSError: when there is no such package, or no pyproject.toml.
    """
    project = (repository / "pyproject.toml").read_text()
    contracts = tomllib.loads(project)["tool"]["importlinter"]["contracts"]
    modules = source.modules(repository / "plugins" / source.PACKAGE)
    arrows = rooms.arrows(modules)
    privates = functions.privates(modules)
    return House(
        root=rooms.on_the_root(modules),
        rooms=rooms.rooms(modules),
        arrows=arrows,
        upwards=rooms.upwards(arrows, contracts),
        cycles=rooms.cycles(arrows),
        contract_lines=_contract_lines(project),
        long_files=_long_files(modules),
        privates=len(privates),
        small_privates=sum(private.is_small for private in privates),
        median_length=functions.median_length(modules),
        staging=contents.knows_the_layout(modules),
        styles=contents.styles(modules),
    )


def page(house: House) -> str:
    """Return the numbers as lines of text, each with its list where that says more."""
    rows: list[tuple[str, object, Sequence[object]]] = [
        ("modules on the root", len(house.root), house.root),
        ("rooms", len(house.rooms), house.rooms),
        ("import arrows between rooms", len(house.arrows), ()),
        ("… upwards", *_upwards(house.upwards)),
        ("… cycles", len(house.cycles), [" ↔ ".join(group) for group in house.cycles]),
        ("lines of import contracts", house.contract_lines, ()),
        (
            f"files over {LONG_FILE} lines",
            len(house.long_files),
            [f"{name} {n}" for name, n in house.long_files.items()],
        ),
        ("private functions", house.privates, ()),
        (f"… with one caller, at most {functions.FEW_LINES} lines", house.small_privates, ()),
        ("median length of functions", f"{house.median_length:g}", ()),
        ("files that know the staging area", len(house.staging), house.staging),
        ("styles of serialisation", len(house.styles), [f"{name} in {n}" for name, n in house.styles.items()]),
    ]
    return "\n".join(f"{name:<40} {number:>5}   {', '.join(map(str, items))}".rstrip() for name, number, items in rows)


def _upwards(arrows: Sequence[Arrow] | None) -> tuple[object, Sequence[str]]:
    if arrows is None:
        return "?", ["no contract names layers"]
    return len(arrows), [f"{start} → {end}" for start, end in arrows]


def _contract_lines(project: str) -> int:
    within, lines = False, 0
    for line in map(str.strip, project.splitlines()):
        if line.startswith("["):
            within = line.lstrip("[").startswith("tool.importlinter")
        lines += within and bool(line) and not line.startswith("#")
    return lines


def _long_files(modules: Sequence[Module]) -> dict[str, int]:
    every = sorted(modules, key=lambda module: -module.lines)
    return {module.path.as_posix(): module.lines for module in every if module.lines > LONG_FILE}
