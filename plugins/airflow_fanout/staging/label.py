"""What a part of the journal says of itself: which list it belongs to, and where it lies."""

from __future__ import annotations

from airflow_fanout import codec
from airflow_fanout.staging import layout
from airflow_fanout.staging.errors import ForeignPart
from airflow_fanout.staging.lines import LABEL, read_label
from airflow_fanout.staging.store import Location


def label_of(part: Location, list_id: str) -> bytes:
    """Return what a part says of itself: its list and its place, so that it can't stand for another one."""
    return codec.encode({"list": list_id, "part": layout.place_in_journal(part.key)})


def check_label(part: Location, list_id: str) -> None:
    """Check that a part was written for this list and for its place; one that is torn before that has no record.

    :raises ForeignPart: when it wasn't.
    """
    label = read_label(part)
    if label is None:
        if (part.size() or 0) > len(label_of(part, list_id)) + LABEL.size:
            raise ForeignPart(str(part), "is no part of this journal: it has no label")
    elif label != label_of(part, list_id):
        raise ForeignPart(str(part), "belongs to another list, or to another place in the journal")
