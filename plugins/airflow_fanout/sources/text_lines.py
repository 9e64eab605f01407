"""The lines of a text file, decoded one by one, so that a fault is found in its line."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from airflow_fanout.sources.errors import UnusableList

MOST_BYTES = 16 * 1024 * 1024
BOM = "\ufeff"


class TextLines:
    """Iterates over the lines of a file, each with its line break; `number` counts them from 1.

    :raises UnusableList: for a line that isn't in the encoding, is too long, or has a NUL in it.
    """

    def __init__(self, source: str, file: io.BufferedReader[Any], encoding: str) -> None:
        self.number = 0
        self._source = source
        self._file = file
        self._encoding = encoding

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MOST_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MOST_BYTES:
            raise self.error(f"it has more than {MOST_BYTES:,} bytes: is this a text file with lines?")
        try:
            text = line.decode(self._encoding)
        except UnicodeDecodeError as error:
            problem = f"byte {error.start + 1} of it (0x{line[error.start]:02x}) isn't {self._encoding}"
            raise self.error(f"{problem}. Write encoding=…, such as 'cp1252' for a file from Windows") from None
        if "\0" in text:
            raise self.error("it has a NUL character: is the file in UTF-16, or no text? Convert it to UTF-8")
        return text.removeprefix(BOM) if self.number == 1 else text

    def error(self, problem: str, line: int | None = None) -> UnusableList:
        """Return the error of a line; by default, of the one that was read last."""
        return UnusableList(self._source, f"line {line or self.number:,}: {problem}")
