from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_fanout.alerts.mail import DARK, TONES, document
from airflow_fanout.alerts.message import Alert, AlertLink, Facts, Look, Quote, Say, alert

HOSTILE = '<script>alert("&amp;")</script>\u202e\' onload=x ' + "x" * 10_000
ACCOUNT = """2 of 9 parameters have no valid result.
  1 × http_error 500
      #652 {tel: …52}: <b>
  1 × invalid
To request only these again, clear fetch."""
LINKS = tuple(AlertLink(label, f"https://a.example/{label}?a=1&b=2") for label in ("Page", "Runbook", "Run", "Report"))
PIECES = (
    Facts((("Started", "by hand"),)),
    Say("fetch failed:"),
    Quote(ACCOUNT),
    AlertLink("Log", "https://a.example/log"),
)
MAIL = alert("daily has failed", PIECES, LINKS, Look(label="Failed", figures=(("2", "missing"),), good_share=7 / 9))


class Seen(HTMLParser):
    """The elements of a document, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.words += data.split()


def test_the_mail_has_every_word_of_the_text() -> None:
    """An address is what its link leads to."""
    seen = Seen(MAIL.html)
    addresses = [element["href"] for tag, element in seen.elements if tag == "a"]
    assert set(addresses) == {word for word in MAIL.text.split() if word.startswith("https:")}
    labels = {"Log:", "Page:", "Runbook:", "Run:", "Report:", "Started:"}
    missing = {word for word in MAIL.text.split() if word not in seen.words} - labels
    assert {word for word in missing if not word.startswith("https:")} == set()
    assert seen.open == []


def test_there_is_one_headline_and_one_button_before_the_long_text() -> None:
    """The button leads to the page of the run."""
    seen = Seen(MAIL.html)
    assert [tag for tag, _ in seen.elements].count("h1") == 1
    (button,) = [element for _, element in seen.elements if "button" in (element.get("class") or "")]
    assert button["href"] == LINKS[0].url
    assert MAIL.html.index("Open the run") < MAIL.html.index("fetch failed:") < MAIL.html.index("Report over time")


def test_causes_are_rows_of_a_table_with_their_samples() -> None:
    """What stands before and after them stays a sentence."""
    cells = re.findall(r'<td class="line text"[^>]*>(.*?)</td>', MAIL.html)
    assert [unescape(re.sub(r"<[^>]+>", " ", cell)).split() for cell in cells] == [
        ["1", "×"],
        ["http_error", "500", "#652", "{tel:", "…52}:", "<b>"],
        ["1", "×"],
        ["invalid"],
    ]
    assert ">To request only these again, clear fetch.</p>" in MAIL.html


def test_whatever_data_say_is_text() -> None:
    """Tags, quotation marks, a text that runs from right to left, and one that is very long."""
    pieces = (Say(HOSTILE), Quote(HOSTILE), Quote(f"  1 × {HOSTILE}"), Facts(((HOSTILE, HOSTILE),)))
    links = (AlertLink(HOSTILE, f"https://a.example/{HOSTILE}"),) * 3
    look = Look(label=HOSTILE, figures=((HOSTILE, HOSTILE),))
    harmless = Alert("s", tuple(type(piece)("x") for piece in pieces[:2]), (), Look())
    seen, plain = Seen(document(Alert(HOSTILE, pieces, links, look))), Seen(document(harmless))
    assert {tag for tag, _ in seen.elements} <= {tag for tag, _ in plain.elements} | {"a", "span", "table"}
    assert not any(name.startswith("on") for _, element in seen.elements for name in element)
    assert seen.open == []


def test_everything_is_within_the_mail() -> None:
    """No image, script or style sheet is loaded from anywhere; what has a colour has it on the element."""
    seen = Seen(MAIL.html)
    assert not {tag for tag, _ in seen.elements} & {"img", "script", "link", "iframe", "svg", "form"}
    assert "url(" not in MAIL.html
    named = [
        element for _, element in seen.elements if {"text", "muted", "tone"} & {*(element.get("class") or "").split()}
    ]
    assert named
    assert all("color:" in element["style"] for element in named)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("tone", [*TONES])
def test_texts_can_be_read_in_dark(tone: str) -> None:
    """Each colour of a text has a contrast of 4.5 or more on the card and on a quotation."""
    styles = {name: dict(part.split(":") for part in style.split(";")) for name, style in DARK}
    texts = [TONES[tone][1], *(styles[name]["color"] for name in (".text", ".muted", ".link"))]
    for behind in (styles[".card"]["background"], styles[".soft"]["background"]):
        dark = luminance(behind) + 0.05
        assert min((luminance(text) + 0.05) / dark for text in texts) >= 4.5


@pytest.mark.parametrize(
    ("share", "widths"), [(0.0, ["100"]), (0.0001, ["1", "99"]), (0.9999, ["99", "1"]), (1.0, ["100"])]
)
def test_a_part_that_is_there_is_seen(share: float, widths: list[str]) -> None:
    """One missing parameter of a million is still a part of the bar."""
    html = document(Alert("s", (), (), Look(figures=(("1", "missing"),), good_share=share)))
    assert re.findall(r'<td width="(\d+)%"', html) == widths
