"""A message in its three forms: a subject, plain text, and HTML that says the same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Literal, TypeAlias, assert_never
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
    """An address, with what it leads to.

    :param url: "" if Airflow's address isn't known; an alert leaves out such a link.
    """

    label: str
    url: str


class Facts(msgspec.Struct, frozen=True):
    """Names with their values, a line each."""

    rows: tuple[tuple[str, str], ...]


Piece: TypeAlias = Say | Quote | AlertLink | Facts


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What only the HTML has: it repeats, so that a glance is enough, what the subject and the pieces say.

    :param tone: how it is coloured.
    :param label: what has happened, in a word or two.
    :param figures: the numbers that are shown large, each with its unit.
    :param good_share: the share from 0 to 1 that is good, as a bar; `None` for no bar.
    """

    tone: Literal["bad", "waiting", "good"] = "bad"
    label: str = "Alert"
    figures: tuple[tuple[str, str], ...] = ()
    good_share: float | None = None


class Alert(msgspec.Struct, frozen=True):
    """What a notifier sends: one line, and the same pieces and links as plain text and as HTML.

    :param links: where the whole message leads, the most important one first: in HTML it is the button.
    """

    subject: str
    pieces: tuple[Piece, ...]
    links: tuple[AlertLink, ...] = ()
    look: Look = Look()

    @property
    def text(self) -> str:
        """The plain text, the subject first."""
        lines = [self.subject, ""]
        for piece in (*self.pieces, *self.links):
            match piece:
                case Say(text):
                    lines.append(text)
                case Quote(text):
                    lines.append("\n".join(f"    {line}" for line in text.splitlines()))
                case AlertLink(label, url):
                    lines.append(f"{label}: {url}")
                case Facts(rows):
                    lines += [f"{name}: {value}" for name, value in rows]
                case _:
                    assert_never(piece)
        return "\n".join(lines)

    @property
    def html(self) -> str:
        """The HTML, a whole document for a mail: everything in it is escaped."""
        # Every process of Airflow loads this file with the plugin; few ever send a mail.
        from airflow_fanout.alerts.mail import document

        return document(self)

    def __str__(self) -> str:
        return self.text


def alert(subject: str, pieces: Iterable[Piece], links: Iterable[AlertLink] = (), look: Look | None = None) -> Alert:
    """Return an alert, its subject made fit for a mail's header, and without the links that lead nowhere."""
    line = " ".join(subject.split())
    return Alert(
        line if len(line) <= LONGEST_SUBJECT else f"{line[: LONGEST_SUBJECT - 1]}…",
        tuple(piece for piece in pieces if not (isinstance(piece, AlertLink) and not piece.url)),
        tuple(link for link in links if link.url),
        look or Look(),
    )


def day(moment: datetime | None, zone: tzinfo) -> str:
    """Return a run's date as the report's readers call it: a day, with the time if it isn't midnight."""
    if moment is None:
        return "an unknown date"
    local = moment.astimezone(zone)
    return f"{local:%Y-%m-%d}" if (local.hour, local.minute) == (0, 0) else f"{local:%Y-%m-%d %H:%M}"


class Pages(msgspec.Struct, frozen=True):
    """Addresses in Airflow's UI.

    :param base_url: `[api] base_url`, which may have a path; "" if nobody has set it: then every address is "".
    """

    base_url: str
    dag_id: str

    def links(self, run_id: str, section: str) -> tuple[AlertLink, ...]:
        """Return where a message about a run leads, the most important first.

        :param section: the section of the runbook, by the anchor of its heading.
        """
        return (
            AlertLink("Page", self.page(run_id)),
            AlertLink("Runbook", self.runbook(run_id, section)),
            AlertLink("Run", self.run(run_id)),
            AlertLink("Report", self.report),
        )

    @property
    def report(self) -> str:
        """The plugin's page of the report over time."""
        return self._address("plugin/fanout-dag")

    def run(self, run_id: str) -> str:
        """Return Airflow's own page of a run."""
        return self._address(f"runs/{quote(run_id, safe='')}")

    def page(self, run_id: str) -> str:
        """Return the plugin's page of a run."""
        return self._address(f"runs/{quote(run_id, safe='')}/plugin/fanout-dag_run")

    def runbook(self, run_id: str, section: str) -> str:
        """Return the page of a run, with a section of the runbook open."""
        return f"{address}#{section}" if (address := self.page(run_id)) else ""

    def log(self, run_id: str, task_id: str, map_index: int) -> str:
        """Return the page of a task's log."""
        mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
        return self._address(f"runs/{quote(run_id, safe='')}/tasks/{quote(task_id, safe='')}{mapped}")

    def _address(self, place: str) -> str:
        if not self.base_url:
            return ""
        return f"{self.base_url.rstrip('/')}/dags/{quote(self.dag_id, safe='')}/{place}"
