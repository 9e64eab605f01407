"""Why load doesn't begin: the results aren't good enough, or nobody has judged them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class ValidationFailed(FanoutError):
    """The results are not what the report needs; `text` is the whole account of it."""

    shows_samples: ClassVar[bool] = True

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False)
class NotValidated(FanoutError):
    """Load was asked for results that no validate task has passed."""

    path: str

    sentence: ClassVar[str] = (
        "No validate task has passed these results, so nothing was written. Put ValidateOperator before "
        "MongoLoadOperator, or clear the run from its validate task on ({path})."
    )
