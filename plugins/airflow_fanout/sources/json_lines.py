"""The lines of a JSON Lines file, each of which is one parameter."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.sources.fields import DocumentReader, Wanted
from airflow_fanout.sources.text_lines import TextLines
from airflow_fanout.sources.values import BadItem


class JsonLines:
    """Makes a parameter of each line: an object, or a text or a number; an empty line is left out."""

    def __init__(self, source: str, file: io.BufferedReader[Any], fields: Wanted, *, encoding: str) -> None:
        self._lines = TextLines(source, file, encoding)
        self._reader = DocumentReader(fields)

    @property
    def place(self) -> str:
        """How far the file is read."""
        return f"line {self._lines.number:,}"

    def __iter__(self) -> Iterator[Json]:
        for line in self._lines:
            if not (text := line.strip()):
                continue
            try:
                parameter = self._reader.parameter(codec.decode(text))
            except codec.NotJson as error:
                raise self._lines.error(f"it isn't JSON: {error}") from None
            except BadItem as error:
                raise self._lines.error(str(error)) from None
            yield parameter
