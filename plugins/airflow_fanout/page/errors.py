"""Why the page can't show what it was asked for."""

from __future__ import annotations


class NotShown(Exception):
    """What was asked for isn't there, or can't be read. No task raises it: it is the answer to a browser.

    :param problem: the sentence that the page shows.
    :param status: the HTTP status of the answer.
    """

    def __init__(self, problem: str, status: int = 404) -> None:
        super().__init__(problem, status)
        self.problem, self.status = problem, status

    def __str__(self) -> str:
        return self.problem
