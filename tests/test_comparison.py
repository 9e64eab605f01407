"""The page that compares the same report with other programs is held to their files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "comparison.md").read_text()
OURS = ROOT / "dags" / "daily_invoices.py"
OTHERS = sorted((ROOT / "docs" / "comparison").iterdir())
MOST_LINES = 30


def lines(file: Path) -> int:
    """Return how many lines of a file are neither blank nor a comment nor a docstring."""
    text = file.read_text()
    rows = set(range(1, len(text.splitlines()) + 1))
    if file.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
                docstring = node.body[0]
                rows -= set(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    written = [row.strip() for number, row in enumerate(text.splitlines(), 1) if number in rows]
    return sum(bool(row) and not row.startswith("#") for row in written)


def counted() -> dict[str, int]:
    """Return the lines that the page's table gives to each file."""
    rows = re.findall(r"^\| \[`([\w.]+)`\]\([^)]+\) \| .+? \| (\d+) \|$", PAGE, re.MULTILINE)
    return {name: int(number) for name, number in rows}


def test_the_invoices_take_at_most_thirty_lines() -> None:
    """Imports, DAG and tasks, without docstring and blank lines, and as many as the pages say."""
    assert lines(OURS) <= MOST_LINES
    pages = [(ROOT / name).read_text() for name in ("README.md", "CHANGELOG.md")]
    assert [f"{lines(OURS)} lines" in " ".join(page.split()) for page in pages] == [True, True]


def test_the_table_has_the_lines_of_each_file() -> None:
    """Counted by one rule; ours is the shortest."""
    files = [OURS, *OTHERS]
    assert counted() == {file.name: lines(file) for file in files}
    assert min(files, key=lines) == OURS


@pytest.mark.parametrize("file", [OURS, *OTHERS], ids=lambda file: file.name)
def test_the_page_shows_each_file_as_it_is(file: Path) -> None:
    """Without the docstring, whose place is taken by the page's own text."""
    code = re.sub(r'\A""".*?"""\n+', "", file.read_text(), flags=re.DOTALL).strip()
    assert f"\n{code}\n```" in PAGE


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('"""A file\n\nof many lines."""\n\nimport os\n', 1),
        ("# a comment\n\nx = 1  # another\n", 1),
        ('def f():\n    """Do."""\n    return """\n    a\n    """\n', 4),
    ],
)
def test_what_a_line_is(tmp_path: Path, text: str, number: int) -> None:
    """A text that is no docstring is code."""
    file = tmp_path / "code.py"
    file.write_text(text)
    assert lines(file) == number
