"""What the connection of an API says about the requests that all of its users may send together."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_fanout.control.allowance import Allowance, allowance_of
from airflow_fanout.control.quiet import QuietHours
from airflow_fanout.control.quota import Quota
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared
from airflow_fanout.model.settings import check_at_least, check_whole

# Slots are counted in microseconds: more of them would have the same moment.
MOST_PER_S = 100_000


class ApiBudget(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One budget of requests for an API, which all fetches share whose connections name it.

    :param name: the `_id` of its document in MongoDB.
    :param rate_per_s: the most requests per second.
    :param concurrency: the most requests under way at once; `None` for no common limit.
    :param offline_rate_per_s: the most requests per second while MongoDB can't be reached; 0 for none.
    :param weights: how much larger the share of a DAG or tenant is than that of others, by its name; 1 by default.
    :param tenant: whose share the fetches over this connection use; each DAG has one of its own by default.
    :param quotas: how many requests the API allows per day, per month or in a rolling window.
    :param quiet_hours: hours in which nothing is sent.
    :param mongo_conn_id: the Airflow connection of the MongoDB.
    :param database: the database that holds the collection `budgets`.
    """

    name: str
    rate_per_s: float
    concurrency: int | None = None
    offline_rate_per_s: float = 0.0
    weights: Mapping[str, float] = {}
    tenant: str | None = None
    quotas: tuple[Quota, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    mongo_conn_id: str = "mongo_default"
    database: str = "fanout"

    def __post_init__(self) -> None:
        for field in ("name", "mongo_conn_id", "database"):
            _check_text(f"budget.{field}", getattr(self, field))
        if self.tenant is not None:
            _check_text("budget.tenant", self.tenant)
        check_at_least("budget.rate_per_s", self.rate_per_s, 0.001, "requests per second")
        if self.rate_per_s > MOST_PER_S:
            raise BadSetting("budget.rate_per_s", self.rate_per_s, f"at most {MOST_PER_S:,} requests per second")
        check_at_least("budget.offline_rate_per_s", self.offline_rate_per_s, 0, "requests per second")
        if self.offline_rate_per_s > self.rate_per_s:
            expected = f"at most rate_per_s, {self.rate_per_s:g}"
            raise BadSetting("budget.offline_rate_per_s", self.offline_rate_per_s, expected)
        if self.concurrency is not None:
            check_whole("budget.concurrency", self.concurrency)
        self._check_weights()
        if self.allowance is not None:
            self.allowance.check()

    @property
    def allowance(self) -> Allowance | None:
        """What limits the API besides its rate; `None` if nothing does."""
        return allowance_of(self.quotas, self.quiet_hours)

    def _check_weights(self) -> None:
        if not isinstance(self.weights, Mapping):
            raise BadSetting("budget.weights", self.weights, 'names and numbers, such as {"dag_a": 2}')
        for name, weight in self.weights.items():
            check_at_least(f"budget.weights.{name}", weight, 0.001)
            if weight > MOST_PER_S:
                raise BadSetting(f"budget.weights.{name}", weight, f"at most {MOST_PER_S:,}")


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise BadSetting(field, value, "a text that isn't empty")
