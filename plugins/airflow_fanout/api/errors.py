"""What can be wrong with how a request is written, and with how an API is logged in to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class BadTemplate(FanoutError):
    """A text with `{name}` fields can't be read."""

    text: str
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.text!r} {self.problem}. Write a field as {{name}}, or as {{0}}, {{1}} if the values have no names. "
            r"If the text has braces of its own, write a backslash before each of them: r'\{…\}'. "
            "For a GraphQL query use GraphQL(query=…), which does so itself."
        )


# Values of Airflow's that are taken for fields; a template of Airflow's has two braces.
AIRFLOWS = frozenset(
    {
        *("ds", "ds_nodash", "ts", "ts_nodash", "run_id", "logical_date", "params", "var", "conn", "macros"),
        *("data_interval_start", "data_interval_end", "dag", "dag_run", "task", "ti", "task_instance"),
    }
)


@dataclass(eq=False)
class UnknownField(FanoutError):
    """A `{name}` in a request that the parameters don't have."""

    where: str
    field: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        has = f"every parameter of this list has: {', '.join(self.known) or 'no fields'}"
        if self.known and all(name.isdecimal() for name in self.known):
            has = f"the parameters of this list have no names, only positions ({', '.join(self.known)})"
        return f"{self.where} uses {{{self.field}}}, but {has}.{self._hint()}"

    def _hint(self) -> str:
        # A DAG file whose requests are right doesn't load it.
        from difflib import get_close_matches

        if close := get_close_matches(self.field, self.known, n=1):
            return f" Did you mean {{{close[0]}}}?"
        if self.field in AIRFLOWS:
            return f" For Airflow's value write {{{{ {self.field} }}}}."
        if self.known and all(name.isdecimal() for name in self.known) and not self.field.isdecimal():
            return f' Name them: ExtractOperator(names=("{self.field}",)).'
        if self.where == "batch":
            return ""
        return rf" If the text has braces of its own, write \{{{self.field}\}}."


@dataclass(eq=False)
class BadProxy(FanoutError):
    """A proxy that can't be used: every request would fail."""

    scheme: str
    problem: str

    sentence: ClassVar[str] = "The connection's proxy ({scheme}://…) can't be used: {problem}"


@dataclass(eq=False)
class NoToken(FanoutError):
    """A token endpoint gives no token, and asking again can't help.

    `description` has the endpoint's own words, without secrets.
    """

    conn_id: str
    token_url: str
    problem: str
    fix: str
    description: str = ""

    def __str__(self) -> str:
        said = f' It says: "{self.description}"' if self.description else ""
        return (
            f"There is no access token for the connection {self.conn_id!r}: the token endpoint {self.token_url} "
            f"{self.problem}.{said} {self.fix}, then clear this task."
        )


@dataclass(eq=False)
class TokenEndpointDown(FanoutError):
    """A token endpoint gave no token for longer than a fetch waits for it."""

    retry: ClassVar[bool] = True

    conn_id: str
    token_url: str
    problem: str
    seconds: float

    cause: ClassVar[str] = (
        "There is no access token for the connection {conn_id!r}: for {seconds:,.0f} s, the token endpoint {token_url} "
        "{problem}"
    )
    sentence: ClassVar[str] = (
        f"{cause}. What was fetched so far is kept; the next try of this task requests only the rest. If that fails as "
        "well, check the token endpoint."
    )
