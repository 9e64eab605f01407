"""The runbook's sections about failures, as they are in this version of the plugin."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from airflow_fanout.page.errors import NotShown

# The same text as in docs/operating.md, which isn't where the plugin is installed.
FILE = Path(__file__).with_name("runbook.md")
_ITEM = re.compile(r"(\d+\.|-) +(.*)")

router = APIRouter(prefix="/data/runbook")


@router.get("/{section}")
def section(section: str) -> dict[str, Any]:
    """Return a section of the runbook, as `sections` has it, by the anchor of its heading.

    :raises NotShown: when there is no such heading.
    """
    if (known := sections().get(section)) is None:
        raise NotShown("The runbook has no such section.")
    return known


@cache
def sections() -> dict[str, dict[str, Any]]:
    """Return all sections by their anchors.

    Each has its `title`, and `blocks` of a `kind`: `p` and `code` have a `text`, `ul` and `ol` have `items`.
    """
    parts = re.split(r"^### +(.+)$", FILE.read_text(), flags=re.MULTILINE)[1:]
    titles = zip(parts[::2], parts[1::2], strict=True)
    return {anchor_of(title): {"title": title, "blocks": _blocks(text)} for title, text in titles}


def anchor_of(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it.

    That is the text in small letters, without punctuation, and with a hyphen for each space.
    """
    return re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-")


def _blocks(text: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for lines in map(str.splitlines, re.split(r"\n{2,}", text.strip("\n"))):
        # A picture is in the documentation only; a list goes on after it.
        if lines[0].lstrip().startswith("!["):
            continue
        block = _block(lines)
        if "items" in block and blocks and blocks[-1]["kind"] == block["kind"]:
            blocks[-1]["items"] += block["items"]
        else:
            blocks.append(block)
    return blocks


def _block(lines: list[str]) -> dict[str, Any]:
    if lines[0].startswith("    "):
        return {"kind": "code", "text": "\n".join(line[4:] for line in lines)}
    if match := _ITEM.match(lines[0]):
        return {"kind": "ul" if match[1] == "-" else "ol", "items": _items(lines)}
    return {"kind": "p", "text": " ".join(line.strip() for line in lines)}


def _items(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if match := _ITEM.match(line):
            items.append(match[2])
        else:
            items[-1] += f" {line.strip()}"
    return items
