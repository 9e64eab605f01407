"""A message in its three forms: a subject, plain text, and HTML that says the same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from html import escape
from typing import TypeAlias, assert_never
from urllib.parse import quote

import msgspec

LONGEST_SUBJECT = 180


class Say(msgspec.Struct, frozen=True):
    """A paragraph."""

    text: str


class Quote(msgspec.Struct, frozen=True):
    """Lines that are shown unchanged."""

    text: str


class AlertLink(msgspec.Struct, frozen=True):
    """An address, with what it leads to."""

    label: str
    url: str


Piece: TypeAlias = Say | Quote | AlertLink


class Alert(msgspec.Struct, frozen=True):
    """What a notifier sends: one line, and the same pieces as plain text and as HTML."""

    subject: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The plain text, the subject first."""
        lines = [self.subject, ""]
        for piece in self.pieces:
            match piece:
                case Say(text):
                    lines.append(text)
                case Quote(text):
                    lines.append("\n".join(f"    {line}" for line in text.splitlines()))
                case AlertLink(label, url):
                    lines.append(f"{label}: {url}")
                case _:
                    assert_never(piece)
        return "\n".join(lines)

    @property
    def html(self) -> str:
        """The HTML, the subject first; everything in it is escaped."""
        lines = [f"<p><b>{escape(self.subject)}</b></p>"]
        for piece in self.pieces:
            match piece:
                case Say(text):
                    lines.append(f"<p>{escape(text)}</p>")
                case Quote(text):
                    lines.append(f'<pre style="white-space: pre-wrap">{escape(text)}</pre>')
                case AlertLink(label, url):
                    lines.append(f'<p>{escape(label)}: <a href="{escape(url)}">{escape(url)}</a></p>')
                case _:
                    assert_never(piece)
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text


def alert(subject: str, pieces: Iterable[Piece]) -> Alert:
    """Return an alert, its subject made fit for a mail's header."""
    line = " ".join(subject.split())
    return Alert(line if len(line) <= LONGEST_SUBJECT else f"{line[: LONGEST_SUBJECT - 1]}…", tuple(pieces))


def day(moment: datetime | None, zone: tzinfo) -> str:
    """Return a run's date as the report's readers call it: a day, with the time if it isn't midnight."""
    if moment is None:
        return "an unknown date"
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d}" if (local.hour, local.minute) == (0, 0) else f"{local:%Y-%m-%d %H:%M}"


class Pages(msgspec.Struct, frozen=True):
    """Addresses in Airflow's UI.

    :param base_url: `[api] base_url`.
    """

    base_url: str
    dag_id: str

    @property
    def report(self) -> str:
        """The report's page, with the grid of its runs."""
        return f"{self.base_url.rstrip('/')}/dags/{quote(self.dag_id, safe='')}"

    def run(self, run_id: str) -> str:
        """Return the page of a run."""
        return f"{self.report}/runs/{quote(run_id, safe='')}"

    def log(self, run_id: str, task_id: str, map_index: int) -> str:
        """Return the page of a task's log."""
        mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
        return f"{self.run(run_id)}/tasks/{quote(task_id, safe='')}{mapped}"
