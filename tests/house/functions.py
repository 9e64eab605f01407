"""The package's functions: how long they are, and how often the private ones are used."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from tests.house.source import Module

FEW_LINES = 5
_PRIVATE = re.compile(r"_(?!_.*__$)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Private:
    """A function or a method whose name begins with one underscore.

    :param callers: in how many places of its file it is named, its own body counted.
    :param body: the lines of its body, without its docstring.
    """

    name: str
    callers: int
    body: int

    @property
    def is_small(self) -> bool:
        """Whether its body could stand at the one place where it is called."""
        return self.callers == 1 and self.body <= FEW_LINES


def median_length(modules: Iterable[Module]) -> float:
    """Return the median of all functions' lines: signature, docstring and body, without decorators."""
    every = [node for module in modules for node in ast.walk(module.tree) if isinstance(node, Function)]
    return median(_lines(node) for node in every)


def privates(modules: Iterable[Module]) -> list[Private]:
    """Return all private functions at module level and all private methods."""
    return [
        Private(f"{module.name}.{node.name}", named[node.name], _body(node))
        for module in modules
        for named in [_named(module)]
        for node in _outer(module.tree)
        if _PRIVATE.match(node.name)
    ]


def _outer(tree: ast.Module | ast.ClassDef) -> Iterator[Function]:
    for node in tree.body:
        if isinstance(node, Function):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from _outer(node)


def _named(module: Module) -> Counter[str]:
    """Count how often a file uses each name, as a variable or as an attribute."""
    nodes = list(ast.walk(module.tree))
    names = Counter(node.id for node in nodes if isinstance(node, ast.Name))
    return names + Counter(node.attr for node in nodes if isinstance(node, ast.Attribute))


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _body(node: Function) -> int:
    statements = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1 if statements else 0
