"""What runs until its context ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class StoppedAtTheEnd(ABC):
    """A context that stops what it is about, however it ends."""

    @abstractmethod
    def stop(self) -> object:
        """End it, if it hasn't ended yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
