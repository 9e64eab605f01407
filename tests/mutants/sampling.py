"""Which changes are tried: a sample that the seed decides."""

from __future__ import annotations

import ast
import random
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

Position = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    :param operator: cosmic-ray's name of the kind of change.
    :param line: where it is, counted from 1.
    :param before: the line without the change.
    :param after: the line with it.
    :param code: all of the changed module.
    """

    operator: str
    line: int
    before: str
    after: str
    code: str

    def __str__(self) -> str:
        return f"line {self.line}: `{self.before}` → `{self.after}`"


@dataclass(frozen=True)
class _Place:
    position: Position
    operator: str
    occurrence: int


def sample(path: Path, *, most: int, seed: int) -> list[Mutant]:
    """Return changes of a module's code, all over it: a second one at the same place comes after one at each place.

    Left out is what only the type checker reads: annotations, protocols, the flags of a class, the marks between
    kinds of arguments. mypy notices changes of these.
    """
    code = path.read_text()
    mutants = (_mutant(code, place) for place in _in_order(code, random.Random(f"{seed} {path.stem}")))
    different = {(mutant.line, mutant.after): mutant for mutant in mutants if mutant is not None}
    return list(different.values())[:most]


def equivalents(file: Path, module: str) -> Mapping[tuple[str, str], str]:
    """Return the reasons why changes of a module change nothing, by the lines before and after."""
    listed = tomllib.loads(file.read_text()).get(module, {}).get("mutants", [])
    return {(entry["before"], entry["after"]): entry["reason"] for entry in listed}


def _in_order(code: str, chance: random.Random) -> list[_Place]:
    by_position: dict[Position, list[_Place]] = defaultdict(list)
    for place in _places(code):
        by_position[place.position].append(place)
    ranked: list[tuple[int, float, _Place]] = []
    for position in sorted(by_position):
        places = by_position[position]
        chance.shuffle(places)
        ranked += [(rank, chance.random(), place) for rank, place in enumerate(places)]
    return [place for _, _, place in sorted(ranked, key=lambda entry: entry[:2])]


def _places(code: str) -> Iterator[_Place]:
    typed = list(_typed(code))
    # A change is named by its number among those of its kind, in the order in which the tree is walked.
    nodes = list(ast_nodes(get_ast(code)))
    for name in operator_names():
        kind = get_operator(name)
        # Operators with arguments exchange variables that the caller names.
        operator, occurrence = None if kind.arguments() else kind(), 0
        for node in nodes if operator else ():
            for start, end in operator.mutation_positions(node):
                is_mark = getattr(node.parent, "type", "") in ("parameters", "lambdef")
                if not is_mark and not any(first <= start and end <= last for first, last in typed):
                    yield _Place(start, name, occurrence)
                occurrence += 1


def _typed(code: str) -> Iterator[tuple[Position, Position]]:
    for node in ast.walk(ast.parse(code)):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.ClassDef):
            parts += [
                keyword.value for decorator in node.decorator_list for keyword in getattr(decorator, "keywords", ())
            ]
            parts += [keyword.value for keyword in node.keywords]
            parts += [node] if any(ast.unparse(base) == "Protocol" for base in node.bases) else []
        for part in parts:
            if isinstance(part, ast.expr | ast.stmt):
                yield (part.lineno, part.col_offset), (part.end_lineno or 0, part.end_col_offset or 0)


def _mutant(code: str, place: _Place) -> Mutant | None:
    changed = mutate_code(code, get_operator(place.operator)(), place.occurrence)
    pairs = zip(code.splitlines(), (changed or code).splitlines(), strict=False)
    differing = [(number, before, after) for number, (before, after) in enumerate(pairs, start=1) if before != after]
    if not differing:
        return None
    number, before, after = differing[0]
    return Mutant(place.operator.removeprefix("core/"), number, before.strip(), after.strip(), changed)
