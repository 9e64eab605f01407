"""The plugin: the one file of this folder that Airflow executes, in every one of its processes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow.sdk.plugins_manager import AirflowPlugin
from jinja2 import pass_context

from airflow_fanout.model.as_of import of_context
from airflow_fanout.notifications.deadline import LoadedBy
from airflow_fanout.notifications.macro import alert

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from jinja2.runtime import Context

# Where the page is, below Airflow's own address.
PREFIX = "/fanout"
# Relative, because Airflow itself may be below a path: an address from the root on would miss it.
PAGE = "fanout/page"


@pass_context
def as_of(context: Context) -> datetime:
    """Return the run's one date as a moment in UTC: `{{ macros.fanout.as_of() }}`."""
    return of_context(context).moment  # type: ignore[arg-type] # a mapping in all but its name


@pass_context
def day(context: Context) -> str:
    """Return the run's day in the DAG's time zone: `{{ macros.fanout.day() }}`."""
    return of_context(context).day  # type: ignore[arg-type] # as above


async def page(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer a request for the page, whose application is made by the first one.

    Every process of Airflow loads this file, and only the API server is ever asked for the page.
    """
    from airflow_fanout.page.app import application

    await application()(scope, receive, send)


def view(destination: str, name: str, query: str = "") -> dict[str, str]:
    """Return where Airflow shows the page: its tab, or its entry in the navigation."""
    return {"name": name, "href": f"{PAGE}{query}", "destination": destination, "url_route": f"fanout-{destination}"}


class FanoutPlugin(AirflowPlugin):
    """Gives templates the run's one date, its day (`{{ macros.fanout.day() }}`), and the message of an alert.

    Gives Airflow's UI the page of a run, of a report, and of all reports.
    """

    name = "fanout"
    macros = [as_of, day, alert]  # noqa: RUF012 - Airflow's own attribute, a list by its definition
    deadline_references = [LoadedBy]  # noqa: RUF012 - the same
    fastapi_apps = [{"app": page, "url_prefix": PREFIX, "name": "Reports"}]  # noqa: RUF012 - the same
    external_views = [  # noqa: RUF012 - the same
        view("nav", "Reports"),
        view("dag", "Report", "?dag_id={DAG_ID}"),
        view("dag_run", "Report", "?dag_id={DAG_ID}&run_id={RUN_ID}"),
        view("task_instance", "Report", "?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}"),
    ]
