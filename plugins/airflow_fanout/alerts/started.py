"""How a run came about: by whom, and with which params, as far as these may leave Airflow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from airflow_fanout.masking import mask

# By Airflow's types of a run. One by its schedule needs no words.
ORIGINS = {
    "manual": "by hand",
    "backfill": "by a backfill",
    "asset_triggered": "by an asset",
    "asset_materialization": "by hand, for its asset",
    "operator_triggered": "by another DAG",
}
MOST_PARAMS = 12
LONGEST_NAME, LONGEST_VALUE, LONGEST_USER = 60, 60, 100
# As in privacy/redaction.py, a longer number may be somebody's telephone or account.
LONGEST_NUMBER = 6
HIDDEN = "…"
# A day or a moment is nobody's (RFC 3339).
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?")


class Started(msgspec.Struct, frozen=True):
    """How a run came about.

    :param run_type: Airflow's word: "scheduled", "manual", "backfill", …
    :param by: who has triggered it; `None` if nobody, or nobody knows.
    :param params: what it was triggered with, masked.
    """

    run_type: str = "scheduled"
    by: str | None = None
    params: tuple[tuple[str, str], ...] = ()

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What a message says of it, by name; nothing of a run that was started by its schedule."""
        if self.run_type == "scheduled":
            return ()
        by = f" by {' '.join(self.by.split())[:LONGEST_USER]}" if self.by else ""
        started = ("Started", f"{ORIGINS.get(self.run_type, self.run_type)}{by}")
        shown = [f"{name} = {value}" for name, value in self.params[:MOST_PARAMS]]
        if len(self.params) > MOST_PARAMS:
            shown.append(f"and {len(self.params) - MOST_PARAMS:,} more")
        if shown:
            return started, ("Params", ", ".join(shown))
        return (started, ("Params", "the DAG's defaults")) if self.run_type == "manual" else (started,)


def shown_params(
    conf: Mapping[str, Any], choices: Mapping[str, Sequence[Any]], secret_names: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the params of a run that aren't empty, as they may be in a mail.

    A param may be a secret, or a parameter of the report such as a telephone number. Only what can't be one is shown as
    it is: truth values, short numbers, days and moments, and values that the DAG itself lists. Of a list only the
    length is shown, of a text the last two characters.

    :param conf: what the run was triggered with.
    :param choices: by param, the values that the DAG itself lists, which are therefore nobody's data.
    :param secret_names: parts of names whose values are secret, as Airflow is configured.
    """
    # Their patterns take a while to compile: not in every process that loads the plugin.
    from airflow_fanout.privacy.quoting import field_name
    from airflow_fanout.privacy.redaction import is_secret_name

    for name, value in conf.items():
        if value in (None, "", [], {}):
            continue
        lowered = name.lower()
        is_secret = is_secret_name(name) or any(part in lowered for part in secret_names)
        yield field_name(name)[:LONGEST_NAME], HIDDEN if is_secret else _shown(value, choices.get(name, ()))


def _shown(value: Any, choices: Sequence[Any]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | Mapping):
        return f"{len(value):,} {'value' if len(value) == 1 else 'values'}"
    text = " ".join(str(value).split())
    if isinstance(value, int | float):
        is_open = sum(sign.isdigit() for sign in text) <= LONGEST_NUMBER
    else:
        is_open = value in choices or MOMENT.fullmatch(text) is not None
    return text[:LONGEST_VALUE] if is_open else mask(text)
