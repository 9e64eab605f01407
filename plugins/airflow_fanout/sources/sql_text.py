"""The text of a query: whether it only reads, and how it is run alone, for no row, or with values of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlparse import tokens
from sqlparse.lexer import tokenize

from airflow_fanout.sources.sql_list import QUERIES

Token = tuple[Any, str]
Values = Sequence[Any] | Mapping[str, Any] | None


def problem_of(sql: str) -> str | None:
    """Return why a text isn't one query that only reads; `None` if it is, as far as its text says."""
    statements = _statements(sql)
    if len(statements) != 1:
        return f"it has {len(statements)} statements, and a source runs one query"
    words = [(kind, text.upper()) for kind, text in statements[0] if not _is_between(kind)]
    first = next((text for _, text in words if text != "("), "")
    if first not in QUERIES:
        return f"it begins with {first[:20]}, and a source only reads: write a query, which begins with SELECT or WITH"
    for (kind, text), (_, following) in zip(words, [*words[1:], (None, "")], strict=True):
        # Some of them are the names of functions, too, such as REPLACE.
        writes = kind in tokens.DDL or (kind in tokens.DML and text != "SELECT")
        if (writes and following != "(") or (kind in tokens.Keyword and text == "INTO"):
            return f"it has {text}, which writes or locks, and a source only reads"
    return None


def alone(sql: str) -> str:
    """Return a query without what comes after it: a semicolon, which no other query may have in it, and comments."""
    [statement] = _statements(sql)
    while statement and _is_between(statement[-1][0]):
        statement.pop()
    return "".join(text for _, text in statement).strip()


def _statements(sql: str) -> list[list[Token]]:
    """Return the tokens of each statement; one without a word is none."""
    statements: list[list[Token]] = [[]]
    flat: Iterable[Token] = tokenize(sql)  # type: ignore[no-untyped-call] # sqlparse ships some types only
    for kind, text in flat:
        if kind in tokens.Punctuation and text == ";":
            statements.append([])
        else:
            statements[-1].append((kind, text))
    return [statement for statement in statements if not all(_is_between(kind) for kind, _ in statement)]


def _is_between(kind: Any) -> bool:
    return kind in tokens.Whitespace or kind in tokens.Comment


def as_table(sql: str) -> str:
    """Return a query as a table of another one; its last line may be a comment."""
    return f"(\n{alone(sql)}\n) fanout_list"


def execute(cursor: Any, sql: str, parameters: Values) -> None:
    """Execute a query; where there are no parameters, a "%" in it is a "%"."""
    if parameters is None:
        cursor.execute(sql)
    else:
        cursor.execute(sql, parameters)
