"""What a validation has found, small enough for Airflow's state store: for the page, whether the results are good."""

from __future__ import annotations

import json
from typing import Any

from airflow_fanout.privacy.redaction import without_secrets
from airflow_fanout.validation.judge import Judgement
from airflow_fanout.validation.verdict import MOST_CAUSES, cut

# Airflow keeps at most 64 KB for a value, as JSON in which a sign that isn't ASCII takes up to twelve bytes.
LARGEST_BYTES = 60_000
# As many samples of each cause as fit, then shorter texts, by the share of their length.
SIZES = ((3, 1.0), (1, 1.0), (0, 1.0), (0, 0.25))
MOST_CHECKS = 20
LONGEST_SAMPLE, LONGEST_CHECK, LONGEST_PROBLEM = 200, 60, 140


def picture_of(judgement: Judgement) -> dict[str, Any]:
    """Return the counts with their causes, masked samples and checks, as plain JSON without secrets."""
    pictures = [_picture(judgement, samples, share) for samples, share in SIZES]
    return next((picture for picture in pictures if len(json.dumps(picture)) <= LARGEST_BYTES), pictures[-1])


def _picture(judgement: Judgement, samples: int, share: float) -> dict[str, Any]:
    tally, demands = judgement.tally, judgement.demands
    problems = dict(judgement.findings)
    causes = [*demands.rules.refused(tally).items()][:MOST_CAUSES]
    names = [str(check) for check in demands.checks[:MOST_CHECKS]]

    def shown(text: str, longest: int) -> str:
        return cut(without_secrets(text), round(share * longest))

    return {
        **judgement.summary(),
        "shown": demands.shown,
        "accepted": sorted(str(kind) for kind in demands.rules.good_kinds),
        "causes": [
            {
                "cause": shown(str(cause), LONGEST_SAMPLE),
                "count": count,
                "samples": [shown(text, LONGEST_SAMPLE) for text in tally.samples(cause)[:samples]],
            }
            for cause, count in causes
        ],
        "checks_run": [
            {
                "check": shown(name, LONGEST_CHECK),
                "problem": shown(problems[name], LONGEST_PROBLEM) if name in problems else None,
            }
            for name in names
        ],
    }
