"""The page that says which changes no test has noticed: a row and a list for each module, as of its last run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.mutants.modules import MODULES

HEAD = """\
# Deliberate faults

`make mutants` writes this page, the rows of those modules that it was asked for. A change that changes nothing stands
in [equivalents.toml](equivalents.toml) with its reason, and doesn't count. The seconds are those of the machine at
that time, whatever else it had to do.

| module | changes | of them equivalent | noticed | survived | share noticed | seconds | seed |
|---|---|---|---|---|---|---|---|
"""
_ROW = re.compile(r"^\| `(?P<name>[^`]+)` \|.*$", re.MULTILINE)
_SURVIVOR = re.compile(r"^- `(?P<name>[^`]+)` (?P<change>line .*)$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """What the page says of a module.

    :param row: its row of the table.
    :param survivors: the changes that no test has noticed.
    """

    row: str
    survivors: Sequence[str] = field(default_factory=list)


def with_entry(page: str, name: str, entry: Entry) -> str:
    """Return the page with another entry of one module, and those of the others as they are."""
    entries = {**_entries(page), name: entry}
    ordered = {module.name: entries[module.name] for module in MODULES if module.name in entries}
    rows = "".join(f"{one.row}\n" for one in ordered.values())
    survivors = "".join(f"- `{of}` {change}\n" for of, one in ordered.items() for change in one.survivors)
    return f"{HEAD}{rows}\n## Survivors\n\n{survivors}"


def _entries(page: str) -> Mapping[str, Entry]:
    changes: dict[str, list[str]] = {}
    for found in _SURVIVOR.finditer(page):
        changes.setdefault(found["name"], []).append(found["change"])
    return {row["name"]: Entry(row[0], changes.get(row["name"], [])) for row in _ROW.finditer(page)}
