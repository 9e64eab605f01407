"""What some files know that one file could know for all: the staging area's layout, a way to serialise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from tests.house.source import Module

# The names of files and folders of the staging area, or the part of one that a f-string has in it.
STAGED = re.compile(
    r"\.history|lost\+found|parameters\.jsonl.*|part-.*|\S*\.jsonl(\.zst)?"
    r"|(manifest|validated|complete|progress)\.json|(list|shard|generation|try)-.*"
)
# Each style by what an expression or an import of it looks like.
STYLES = {
    "msgspec": re.compile(r"import msgspec|from msgspec|msgspec\.\w+|codec\.(encode|decode\w*)"),
    "json": re.compile(r"import json|json\.(dumps?|loads?)"),
    "pickle": re.compile(r"import (cloud)?pickle|(cloud)?pickle\.(dumps?|loads?)"),
    "struct": re.compile(r"import struct|from struct import .*"),
    "asdict": re.compile(r"(dataclasses\.)?asdict"),
    "as_json, from_json": re.compile(r"def (as|from)_json"),
}


def knows_the_layout(modules: Iterable[Module]) -> list[str]:
    """Return the files that have a name of the staging area's in a constant; a docstring or a sentence is none."""
    return [
        module.path.as_posix() for module in modules if any(STAGED.fullmatch(text) for text in _constants(module.tree))
    ]


def styles(modules: Iterable[Module]) -> dict[str, int]:
    """Return how many files serialise in each of the styles."""
    texts = [list(_expressions(module.tree)) for module in modules]
    found = {name: sum(any(map(style.fullmatch, text)) for text in texts) for name, style in STYLES.items()}
    return {name: number for name, number in found.items() if number}


def _constants(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _expressions(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield f"def {node.name}"
        elif isinstance(node, ast.Import | ast.ImportFrom | ast.Attribute | ast.Name):
            yield ast.unparse(node)
