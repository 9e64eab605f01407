"""A query that is read in pages by a key (https://use-the-index-luke.com/no-offset), not by counting rows.

Each page begins after the last key of the page before it, so what is inserted or deleted meanwhile moves no page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_fanout.sources.sql_text import as_table

if TYPE_CHECKING:
    from airflow_fanout.sources.source import Database
    from airflow_fanout.sources.sql_list import SqlList

# How a query is limited: in most dialects by LIMIT, in these as SQL:2008 has it, in which SQL Server wants an offset.
STANDARD = frozenset({"oracle", "db2", "ibm_db_sa", "teradatasql"})
WITH_OFFSET = frozenset({"mssql"})


class PageQueries:
    """The queries of the pages, each with its values."""

    def __init__(self, sql_list: SqlList, database: Database) -> None:
        self._columns = sql_list.page_columns
        self._size = sql_list.fetch_size
        self._parameters = None if sql_list.parameters is None else [*sql_list.parameters]
        self._sql = as_table(sql_list.sql)
        self._placeholder = database.placeholder
        self._dialect = database.dialect

    def ambiguous(self) -> tuple[str, list[Any] | None]:
        """Return the query that gives a row if the key is NULL in a row, or two rows have the same."""
        names = ", ".join(self._columns)
        nulls = "".join(f" OR {name} IS NULL" for name in self._columns)
        grouped = f"SELECT {names} FROM {self._sql} GROUP BY {names} HAVING COUNT(*) > 1{nulls}"
        return f"{grouped} ORDER BY {names} {self._limit(1)}", self._parameters

    def after(self, last: Sequence[Any] | None) -> tuple[str, list[Any] | None]:
        """Return the query of the page after a key; of the first page, if there is none."""
        end = f"ORDER BY {', '.join(self._columns)} {self._limit(self._size)}"
        if last is None:
            return f"SELECT * FROM {self._sql} {end}", self._parameters
        sql, values = self._sql, list(self._parameters or ())
        if self._parameters is None and self._placeholder.startswith("%"):
            # Beside values, a "%" of the author's would begin a placeholder.
            sql = sql.replace("%", "%%")
        alternatives = []
        for place, name in enumerate(self._columns):
            # (a > 1) OR (a = 1 AND b > 2): a comparison of rows isn't known to all databases.
            conditions = [(column, "=") for column in self._columns[:place]] + [(name, ">")]
            terms = []
            for column, sign in conditions:
                values.append(last[self._columns.index(column)])
                mark = f":{len(values)}" if self._placeholder.startswith(":") else self._placeholder
                terms.append(f"{column} {sign} {mark}")
            alternatives.append(f"({' AND '.join(terms)})")
        return f"SELECT * FROM {sql} WHERE {' OR '.join(alternatives)} {end}", values

    def _limit(self, rows: int) -> str:
        if self._dialect in STANDARD:
            return f"FETCH FIRST {rows} ROWS ONLY"
        if self._dialect in WITH_OFFSET:
            return f"OFFSET 0 ROWS FETCH NEXT {rows} ROWS ONLY"
        return f"LIMIT {rows}"
