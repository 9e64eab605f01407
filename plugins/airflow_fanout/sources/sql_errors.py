"""A database's errors in words, without a value of any row, and whether they may pass."""

from __future__ import annotations

import re

from airflow_fanout.privacy.quoting import HIDDEN
from airflow_fanout.privacy.redaction import redact
from airflow_fanout.sources.errors import BadSource, UnusableList

LONGEST = 300
# Classes of SQLSTATE (PostgreSQL's appendix A): connection, rollback, resources, state, intervention, system.
PASSING_STATES = ("08", "40", "53", "55", "57", "58")
# MySQL: too many connections, shutdown, lock wait, deadlock, interrupted, timeout. From 2000 on: the client's, such as
# a lost connection.
PASSING_NUMBERS = frozenset({1040, 1053, 1205, 1213, 1317, 3024, 1969})
CLIENT_NUMBERS = 2000
PASSING_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR")
PASSING_CLASSES = frozenset({"OperationalError", "InterfaceError", "InternalError"})
# What a new connection is refused for until somebody acts; PostgreSQL's driver has no code for these.
REFUSED = re.compile(
    r"authentication failed|no password supplied|does not exist|not permitted|Access denied|Unknown database"
    r"|could not translate host name|Name or service not known|unable to open database file|certificate verify failed"
)
QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'|`([^`]*)`")
LONG_NUMBER = re.compile(r"\w*\d{4,}\w*")


def is_driver_error(error: BaseException) -> bool:
    """Tell whether an exception is a database's or its driver's: PEP 249 calls the class of all of them `Error`.

    A text that isn't in the encoding of the connection is Python's.
    """
    return isinstance(error, OSError | UnicodeError) or any(kind.__name__ == "Error" for kind in type(error).__mro__)


def connect_error(source: str, error: BaseException) -> BadSource:
    """Return the error of a connection that can't be made.

    Of what another try may cure it is a `BadSource`, else an `UnusableList`.
    """
    words = redact(" ".join(str(error).split()))[:LONGEST] or type(error).__name__
    lasting = REFUSED.search(words) or not _may_pass(error)
    kind = UnusableList if lasting else BadSource
    return kind(source, f"its database refuses the connection, or doesn't answer: {words}")


def query_error(source: str, error: BaseException, sql: str, *, rows: int) -> BadSource:
    """Return the error of a query that failed after a number of rows."""
    after = f"after row {rows:,}: " if rows else ""
    kind = BadSource if _may_pass(error) else UnusableList
    return kind(source, f"{after}{_words(error, sql)}")


def _may_pass(error: BaseException) -> bool:
    state = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
    package = type(error).__module__.partition(".")[0]
    if package in ("MySQLdb", "mysql"):
        number = getattr(error, "errno", None) or (error.args[0] if error.args else 0)
        return isinstance(number, int) and (number >= CLIENT_NUMBERS or number in PASSING_NUMBERS)
    if package == "sqlite3":
        return str(getattr(error, "sqlite_errorname", "")).startswith(PASSING_SQLITE)
    if isinstance(state, str):
        return state.startswith(PASSING_STATES)
    return isinstance(error, OSError) or bool(PASSING_CLASSES & {kind.__name__ for kind in type(error).__mro__})


def _words(error: BaseException, sql: str) -> str:
    """Return the first line of an error; what it quotes is shown only if it stands in the query, too."""
    # psycopg's and MySQL's own attributes; MySQL's other driver, and the others, have the text behind a code.
    primary = getattr(getattr(error, "diag", None), "message_primary", None) or getattr(error, "msg", None)
    texts = [part for part in error.args if isinstance(part, str)]
    lines = str(primary or (texts[-1] if texts else error)).strip().splitlines()

    def shown(quotation: re.Match[str]) -> str:
        text = next(group for group in quotation.groups() if group is not None)
        # MySQL writes the database before the name of a table.
        return quotation[0] if text in sql or ((name := text.rpartition(".")[2]) and name in sql) else HIDDEN

    def known(word: re.Match[str]) -> str:
        return word[0] if word[0] in sql else HIDDEN

    words = LONG_NUMBER.sub(known, QUOTED.sub(shown, lines[0] if lines else ""))
    return redact(words)[:LONGEST] or type(error).__name__
