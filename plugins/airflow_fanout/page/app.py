"""The page's application: its routes, each with its guard, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from airflow_fanout.page import files, missing, routes, runbook
from airflow_fanout.page.errors import NotShown
from airflow_fanout.page.guards import AUTHENTICATED

# Nothing from another host, no script or style inside a page, and no other site around it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@cache
def application() -> ASGIApp:
    """Return the application, which is made once for each process.

    Anonymous callers get 401 from every route. A route about a DAG has a guard of its own besides.
    """
    # Without an address for its schema, FastAPI adds no routes that nobody guards.
    app = FastAPI(title="airflow-fanout", openapi_url=None, dependencies=[Depends(AUTHENTICATED)])
    app.include_router(files.router)
    app.include_router(routes.router)
    app.include_router(missing.router)
    app.include_router(runbook.router)
    app.add_exception_handler(NotShown, _problem)
    app.middleware("http")(_with_headers)
    return app


async def _with_headers(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    response.headers.update(HEADERS)
    return response


async def _problem(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, NotShown) else 500
    return JSONResponse({"detail": str(error)}, status_code=status)
