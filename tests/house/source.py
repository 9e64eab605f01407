"""The package's modules, read without being imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "airflow_fanout"


@dataclass(frozen=True)
class Module:
    """One file of the package.

    :param path: the file, below the package's folder.
    """

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The dotted name below the package; "" for the package itself."""
        names = self.path.with_suffix("").parts
        return ".".join(names[:-1] if names[-1] == "__init__" else names)

    @property
    def lines(self) -> int:
        """The number of lines of the file."""
        return len(self.text.splitlines())

    @property
    def imported(self) -> set[str]:
        """The names below the package that the file imports, without those for the type checker only."""
        return {
            name.removeprefix(PACKAGE).lstrip(".")
            for node in _running(self.tree)
            for name in _names(node)
            if name == PACKAGE or name.startswith(f"{PACKAGE}.")
        } - {""}


def modules(package: Path) -> list[Module]:
    """Read all files of a package."""
    paths = sorted(package.rglob("*.py"))
    return [Module(path.relative_to(package), text := path.read_text(), ast.parse(text)) for path in paths]


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes below one, except those that run for the type checker only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from _running(child)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []
