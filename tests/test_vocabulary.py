"""The words of the project: retired names are not defined, and retired phrases are not written."""

from __future__ import annotations

import ast
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "plugins/airflow_fanout"
PROSE = (PACKAGE, "harness", "demo", "bench", "simulation", "dags")

# The field has a name for each of these, which the code uses instead.
RETIRED = frozenset(
    {
        *("Over", "rehearsal", "patience_s", "Patience", "insist", "Fuse", "Outage", "Gate", "Scribe", "Teller"),
        *("Said", "Fleet", "Glimpse", "Note", "Watch", "Case", "Winners", "Done", "Place", "Pen", "Keep", "Standing"),
    }
)
RETIRED_FIELDS = {
    "Retry": frozenset({"attempts", "base_s", "cap_s", "longest_s"}),
    "Throttle": frozenset({"floor", "start"}),
}
PHRASE = re.compile(
    r"\b(?:mend(?:s|ed|ing)?|anew|shall|shan't|at the most|so many|be had|(?:is|are|was|were|be|been|being) told)\b",
    re.IGNORECASE,
)


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Yield the path in the repository and the text of each Python file in these folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def fields(node: ast.ClassDef) -> Iterator[str]:
    """Yield the names of a class's annotated fields."""
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            yield line.target.id


def retired_names(text: str) -> list[str]:
    """Return `line: name` for each retired name that a module defines, with or without a leading underscore."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ClassDef():
                names = [node.name, *fields(node)]
                retired = RETIRED | RETIRED_FIELDS.get(node.name.lstrip("_"), frozenset())
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                names, retired = [node.name], RETIRED
            case ast.arg():
                names, retired = [node.arg], RETIRED
            case _:
                continue
        found += [f"{node.lineno}: {name}" for name in names if name.lstrip("_") in retired]
    return found


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the words of each comment; comments on lines that follow each other are one."""
    tokens = [token for token in tokenize.generate_tokens(StringIO(text).readline) if token.type == tokenize.COMMENT]
    block: list[str] = []
    for token, following in pairwise([*tokens, None]):
        assert token is not None
        block.append(token.string.lstrip("# "))
        if following is None or following.start[0] != token.start[0] + 1:
            yield token.start[0] - len(block) + 1, " ".join(block)
            block = []


def strings(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the words of each docstring and string literal."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def retired_phrases(text: str) -> list[str]:
    """Return `line: phrase` for each retired phrase in a module, also where a line break divides it."""
    return [
        f"{line}: {match[0]}"
        for line, words in sorted([*comments(text), *strings(text)])
        for match in PHRASE.finditer(" ".join(words.split()))
    ]


def test_no_retired_name_is_defined() -> None:
    """No class, function, argument or field of the package has a retired name."""
    assert [f"{path}:{name}" for path, text in sources(PACKAGE) for name in retired_names(text)] == []


def test_no_class_has_the_name_of_another() -> None:
    """A word has one meaning: whoever finds it in a message or a traceback knows which file it leads to."""
    named = Counter(
        node.name
        for _, text in sources(PACKAGE)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, classes in named.items() if classes > 1] == []


def test_no_retired_phrase_is_written() -> None:
    """No docstring, message or comment holds a retired phrase."""
    assert [f"{path}:{phrase}" for path, text in sources(*PROSE) for phrase in retired_phrases(text)] == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("class _Place:\n    pass", ["1: _Place"]),
        ("def f(*, insist): ...", ["1: insist"]),
        ("class Retry:\n    base_s: float\n    jitter: float", ["1: base_s"]),
        ("class Other:\n    base_s: float", []),
    ],
)
def test_a_retired_name_is_found(text: str, names: list[str]) -> None:
    """Leading underscores are passed over, and some fields are retired in one class only."""
    assert retired_names(text) == names


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("# Send so\n# many requests.", ["1: so many"]),
        ('raise ValueError(f"{x}: at the " f"most")', ["1: at the most"]),
        ('"""Mended."""', ["1: Mended"]),
        ("anew = 'amended, and told'", []),
    ],
)
def test_a_retired_phrase_is_found(text: str, phrases: list[str]) -> None:
    """Phrases are found across lines and in any form; a name in the code is none."""
    assert retired_phrases(text) == phrases
