"""The page's own files: a document, a style sheet, and modules that a browser loads as they are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from airflow_fanout.page.errors import NotShown

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".html": "text/html"}

router = APIRouter()


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in FOLDER.iterdir() if path.suffix in TYPES)


@router.get("/page")
def page() -> Response:
    """Return the document, the same for everybody; what it shows it asks for itself."""
    return FileResponse(FOLDER / "page.html", media_type="text/html")


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Return one of the page's files, by its name among those that there are.

    :raises NotShown: for any other name.
    """
    if name not in _names():
        raise NotShown("There is no such file.")
    return FileResponse(FOLDER / name, media_type=TYPES[Path(name).suffix])
