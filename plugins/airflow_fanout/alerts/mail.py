"""An alert as a mail: HTML in tables with inline styles, which mail programs keep, in light and dark.

Some programs remove style sheets, so what is needed is on the elements, and is for light. The style sheets have what
dark and a narrow screen need, and have to say `!important` to come before the elements' own styles. They are two: Gmail
removes one in which there is anything that it doesn't know.

Outlook on Windows draws with Word's engine. It knows no `max-width`, no padding of links, no margin of tables and
blocks, and rounds no corners. So distances are paddings of cells, backgrounds are attributes, too, and a table that
only Outlook sees keeps the width (caniemail.com lists what each program knows).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import assert_never

from airflow_fanout.alerts.message import Alert, AlertLink, Facts, Look, Piece, Quote, Say

FONT = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
# By class, the colours in light and in dark. Those of texts have a contrast of 4.5 or more on what is behind them.
GROUND, CARD, SOFT, LINE = "#f1f3f6", "#ffffff", "#f4f6f9", "#dfe4ea"
TEXT, MUTED, LINK, BUTTON = "#131a24", "#566170", "#0a5db0", "#0a66c2"
TONES = {"bad": ("#b3261e", "#ff8379"), "waiting": ("#8a5207", "#efb656"), "good": ("#0f704a", "#4fc48d")}
DARK = (
    (".ground", "background:#0e1116"),
    (".card", "background:#171b22;border-color:#2b323d"),
    (".soft", "background:#1f252e"),
    (".text", "color:#e9edf2"),
    (".muted", "color:#9aa6b5"),
    (".link", "color:#7cb8f8"),
    (".line", "border-color:#2f3743"),
    (".button", "background:#1f6fc4"),
    (".rest", "background:#3a4350"),
    (".done", "background:#3aa97c"),
)
# As `Counts`, causes and samples are written in every message: "  37 × http_error 500", with more indented lines below.
COUNTED = re.compile(r"( *)([\d,]+) × (.+)")
TABLE = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"'
ONLY_OUTLOOK = (
    '<!--[if mso]><table role="presentation" width="600" cellpadding="0" cellspacing="0"><tr><td><![endif]-->',
    "<!--[if mso]></td></tr></table><![endif]-->",
)
# Outlook's tables inherit neither font nor colour: each cell has its own.
CELL = f"{FONT};font-size:14px;line-height:1.55;color:{TEXT}"
# A cell that is lower than a line of text.
THIN = "font-size:1px;mso-line-height-rule:exactly"
DAY = re.compile(r"\d{4}-\d\d-\d\d")
# What links are called where there is no address beside them.
LABELS = {
    "Page": "Open the run",
    "Runbook": "Runbook: what to do",
    "Run": "Run in Airflow",
    "Report": "Report over time",
    "Log": "Log of this task",
}


def document(alert: Alert) -> str:
    """Return an alert as a whole HTML document, in which everything that comes from data is escaped."""
    tone, dark = TONES[alert.look.tone]
    rules = "".join(f"{name}{{{style}!important}}".replace(";", "!important;") for name, style in DARK)
    rules += f".tone{{color:{dark}!important}}.bar{{background:{dark}!important}}.edge{{border-color:{dark}!important}}"
    narrow = (
        ".outer{padding:0!important}.inner{padding:22px 18px!important}.card{border-radius:0!important}"
        ".figure{padding-right:20px!important}.number{font-size:22px!important}"
        ".press,.beside{display:block!important;text-align:center!important}.button{display:block!important}"
        ".beside{padding:14px 0 0!important}.row{width:100%!important}"
    )
    return (
        '<!doctype html>\n<html lang="en" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
        f"<title>{escape(alert.subject)}</title><style>@media (max-width:480px){{{narrow}}}</style>"
        f"<style>:root{{color-scheme:light dark}}@media (prefers-color-scheme:dark){{{rules}}}</style></head>\n"
        f'<body class="ground" bgcolor="{GROUND}" style="margin:0;padding:0;background:{GROUND}">\n'
        f'{TABLE} class="ground" bgcolor="{GROUND}" style="background:{GROUND}">'
        '<tr><td class="outer" align="center" style="padding:28px 12px">\n'
        f"{ONLY_OUTLOOK[0]}\n"
        f'{TABLE} class="card" bgcolor="{CARD}" style="max-width:600px;background:{CARD};border:1px solid {LINE};'
        'border-radius:12px;border-collapse:separate">\n'
        f'<tr><td class="bar" height="5" bgcolor="{tone}" style="{THIN};height:5px;line-height:5px;background:{tone};'
        'border-radius:11px 11px 0 0">&nbsp;</td></tr>\n'
        f'<tr><td class="inner text" style="padding:26px 32px 28px;{FONT};font-size:15px;line-height:1.55;color:{TEXT};'
        'text-align:left;overflow-wrap:anywhere;word-break:break-word">\n' + "\n".join(_content(alert, tone)) + "\n"
        f"</td></tr></table>\n{ONLY_OUTLOOK[1]}\n</td></tr></table>\n</body></html>\n"
    )


def _content(alert: Alert, tone: str) -> Iterator[str]:
    """Yield the headline, the numbers, what there is to say, and where it leads; the button comes before long texts."""
    yield (
        f'<div class="tone" style="font-size:12px;font-weight:700;letter-spacing:.06em;text-transform:uppercase;'
        f'color:{tone}">{escape(alert.look.label)}</div>'
    )
    # A narrow screen breaks a day at its hyphens.
    headline = DAY.sub(r'<span style="white-space:nowrap">\g<0></span>', escape(alert.subject))
    yield (
        '<h1 class="text" style="margin:6px 0 0;font-size:20px;line-height:1.35;font-weight:700;'
        f'color:{TEXT}">{headline}</h1>'
    )
    if alert.look.figures:
        yield _figures(alert.look, tone)
    introducing = (isinstance(piece, Say) and piece.text.endswith(":") for piece in alert.pieces)
    before = next((place for place, introduces in enumerate(introducing) if introduces), len(alert.pieces))
    yield from (_piece(piece, tone) for piece in alert.pieces[:before])
    if alert.links:
        yield _button(alert.links)
    yield from (_piece(piece, tone) for piece in alert.pieces[before:])
    if others := alert.links[2:]:
        shown = " &nbsp;·&nbsp; ".join(_link(link) for link in others)
        footer = (
            f'{TABLE}><tr><td class="line muted" style="padding:16px 0 0;border-top:1px solid {LINE};{FONT};'
            f'font-size:13px;color:{MUTED}">{shown}</td></tr></table>'
        )
        yield _below(24, footer)


def _below(distance: int, content: str) -> str:
    """Return what stands below something else, a number of pixels away from it."""
    return f'{TABLE}><tr><td style="padding:{distance}px 0 0">{content}</td></tr></table>'


def _figures(look: Look, tone: str) -> str:
    """Return the large numbers, the first in the message's colour, with the bar below them."""
    cells = []
    for place, (number, unit) in enumerate(look.figures):
        name, colour = ("number tone", tone) if place == 0 else ("number text", TEXT)
        cells.append(
            f'<td class="figure" valign="top" style="padding:0 34px 0 0;{FONT}">'
            f'<div class="{name}" style="font-size:26px;line-height:1.2;font-weight:700;color:{colour}">'
            f'{escape(number)}</div><div class="muted" style="font-size:13px;color:{MUTED}">{escape(unit)}</div></td>'
        )
    row = '<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>'
    return _below(20, f"{row}{''.join(cells)}</tr></table>") + _bar(look)


def _bar(look: Look) -> str:
    if (share := look.good_share) is None:
        return ""
    # A part that is there is seen, however small; the rest is never drawn as full.
    percent = max(1, min(99, round(100 * share))) if 0 < share < 1 else round(100 * share)
    is_bad = look.tone == "bad"
    parts = (
        (percent, "done", TONES["good"][0]),
        (100 - percent, "bar" if is_bad else "rest", TONES["bad"][0] if is_bad else "#d5dbe3"),
    )
    cells = "".join(
        f'<td width="{width}%" class="{name}" height="6" bgcolor="{colour}" '
        f'style="{THIN};height:6px;line-height:6px;background:{colour}">&nbsp;</td>'
        for width, name, colour in parts
        if width
    )
    return _below(16, f"{TABLE}><tr>{cells}</tr></table>")


def _button(links: Sequence[AlertLink]) -> str:
    """Return the one button, and the second link beside it."""
    first, *others = links
    # Outlook pads the cell instead of the link.
    pressed = (
        f'<td class="press" bgcolor="{BUTTON}" style="border-radius:8px;mso-padding-alt:11px 22px">'
        f'<a class="button" href="{escape(first.url)}" style="display:inline-block;padding:11px 22px;{FONT};'
        f"background:{BUTTON};border-radius:8px;color:#ffffff;font-size:15px;font-weight:600;line-height:1.3;"
        f'text-decoration:none">{escape(LABELS.get(first.label, first.label))}</a></td>'
    )
    beside = (
        f'<td class="beside" style="padding:0 0 0 20px;{FONT};font-size:14px">{_link(others[0])}</td>' if others else ""
    )
    row = '<table role="presentation" cellpadding="0" cellspacing="0" border="0" class="row"><tr>'
    return _below(24, f"{row}{pressed}{beside}</tr></table>")


def _piece(piece: Piece, tone: str) -> str:
    match piece:
        case Say(text):
            weight = "600" if text.endswith(":") else "400"
            return f'<p style="margin:18px 0 0;font-weight:{weight}">{escape(text)}</p>'
        case Quote(text):
            cell = (
                f'<td class="soft edge text" bgcolor="{SOFT}" style="{CELL};padding:6px 16px 14px;background:{SOFT};'
                f'border-left:3px solid {tone};border-radius:0 8px 8px 0">'
            )
            return _below(10, f"{TABLE}><tr>{cell}{''.join(_account(text))}</td></tr></table>")
        case AlertLink():
            return f'<p style="margin:8px 0 0;font-size:14px">{_link(piece)}</p>'
        case Facts(rows):
            return _below(18, f"{TABLE}>{''.join(map(_fact, rows))}</table>")
        case _:
            assert_never(piece)


def _fact(row: tuple[str, str]) -> str:
    name, value = map(escape, row)
    return (
        f'<tr><td class="muted" valign="top" width="1%" style="{CELL};padding:3px 16px 3px 0;color:{MUTED};'
        f'white-space:nowrap">{name}</td><td class="text" valign="top" style="{CELL};padding:3px 0;font-weight:600">'
        f"{value}</td></tr>"
    )


def _link(link: AlertLink) -> str:
    return (
        f'<a class="link" href="{escape(link.url)}" style="color:{LINK};text-decoration:underline">'
        f"{escape(LABELS.get(link.label, link.label))}</a>"
    )


def _account(text: str) -> Iterator[str]:
    """Yield a quoted text: what it counts as a table, with the samples below each cause, everything else as it is."""
    rows: list[tuple[str, str, list[str]]] = []
    indent = -1
    for line in text.splitlines():
        if match := COUNTED.fullmatch(line):
            indent = len(match[1])
            rows.append((match[2], match[3], []))
        elif rows and len(line) - len(line.lstrip()) > indent:
            rows[-1][2].append(line.strip())
        else:
            yield from _counted(rows)
            rows = []
            yield f'<p style="margin:6px 0 0;white-space:pre-wrap">{escape(line) or "&nbsp;"}</p>'
    yield from _counted(rows)


def _counted(rows: Sequence[tuple[str, str, list[str]]]) -> Iterator[str]:
    if rows:
        yield _below(8, f"{TABLE}>{''.join(_row(*row, is_first=not place) for place, row in enumerate(rows))}</table>")


def _row(count: str, cause: str, samples: Sequence[str], *, is_first: bool) -> str:
    """Return a cause as a row of a table, with a line above it unless it is the first."""
    border = f"border-top:{0 if is_first else 1}px solid {LINE}"
    below = "".join(
        f'<p class="muted" style="margin:2px 0 0;{MONO};font-size:12px;line-height:1.5;font-weight:400;'
        f'color:{MUTED}">{escape(sample)}</p>'
        for sample in samples
    )
    return (
        f'<tr><td class="line text" align="right" valign="top" width="1%" style="{CELL};padding:8px 8px 8px 0;{border};'
        f'font-weight:700;white-space:nowrap">{escape(count)} ×</td>'
        f'<td class="line text" valign="top" style="{CELL};padding:8px 0;{border};font-weight:600">'
        f"{escape(cause)}{below}</td></tr>"
    )
