"""What some nodes cost that are slow, hang or refuse, while the others are well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.chart import Chart
from bench.plots import decades
from bench.report import table
from simulation.api import ApiModel
from simulation.facts import Facts
from simulation.section import Section, prose
from simulation.setup import RunModel, Setup

PARAMETERS = 25_000
SHARES = (0.01, 0.02, 0.05, 0.1, 0.125, 0.2)
LATENCY_S = 0.05
HANG_S = 60.0
KINDS: Mapping[str, Callable[[float], ApiModel]] = {
    "takes 20 times as long": lambda share: ApiModel(slow_share=share),
    "refuses by 503": lambda share: ApiModel(failing_share=share, failing_status=503),
    "hangs for 60 s": lambda share: ApiModel(slow_share=share, slow_factor=1e6, timeout_s=HANG_S),
}
NONE = "all nodes well"


def _setup(api: ApiModel) -> Setup:
    return Setup(runs=(RunModel(parameters=PARAMETERS, shards=1),), api=api)


SETUPS = {
    NONE: _setup(ApiModel()),
    **{f"{share:.1%} {kind}": _setup(model(share)) for kind, model in KINDS.items() for share in SHARES},
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return how much longer a run takes, against what the same concurrency would at best."""
    head = ("a node", *(f"{share:.1%} of requests" for share in SHARES))
    rows = [(kind, *(_cell(facts, kind, share) for share in SHARES)) for kind in KINDS]
    return Section(
        title="Slow and broken nodes",
        parts=[
            prose(f"""
                A run of {PARAMETERS:,} parameters in one shard, 32 at once, {LATENCY_S * 1000:.0f} ms. A share of
                the requests meets a node that isn't well. How many times as long the run takes as without it; in
                brackets, as it would if all 32 were always under way.
            """),
            table(head, rows),
            prose("""
                What one node refuses or keeps isn't taken for overload: if the share is the same at the lowest
                concurrency, it is tolerated at all others. Without that rule, which this simulation has brought
                about, a node in ten that answers 503 made the run 24 times as long, and one that hangs 2,100 times.
            """),
        ],
        charts={"simulation-nodes.svg": _chart(facts)},
    )


def _factor(facts: Mapping[str, Facts], kind: str, share: float) -> float:
    return facts[f"{share:.1%} {kind}"].seconds / facts[NONE].seconds


def _cell(facts: Mapping[str, Facts], kind: str, share: float) -> str:
    """Return the factor, and the one that Little's law gives for the same number of requests under way."""
    api = KINDS[kind](share)
    slow_s = min(api.timeout_s, LATENCY_S * api.slow_factor)
    mean_s = (1 - api.slow_share) * LATENCY_S + api.slow_share * slow_s
    repeats = 1 / (1 - api.failing_share) if slow_s < api.timeout_s else 1 / (1 - api.slow_share)
    return f"{_factor(facts, kind, share):,.1f} ({mean_s / LATENCY_S * repeats:,.1f})"


def _chart(facts: Mapping[str, Facts]) -> Chart:
    lines = {kind: [_factor(facts, kind, share) for share in SHARES] for kind in KINDS}
    return Chart(
        title="How many times as long a run takes",
        x_title="share of the requests that meet the node",
        x_labels=[f"{share:.1%}" for share in SHARES],
        lines=lines,
        ticks=decades(1.0, max(max(values) for values in lines.values())),
        logarithmic=True,
    )
