"""Whether a file is what Kubernetes and Airflow's chart take, without a cluster and without the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.kubernetes import chart

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
# The oldest that the chart is tested with, and the newest that is known here.
VERSIONS = ("1.32", kubernetes_validate.latest_version())
_LISTED = {chart.SECRETS: {"envName", "secretName", "secretKey"}, chart.ENVIRONMENT: {"name", "value"}}
_PLAIN = {chart.TEXT: str, chart.NUMBER: int, chart.SWITCH: bool}


def problems(file: Path) -> list[str]:
    """Return what is wrong with a file: values of the chart, or objects of Kubernetes."""
    documents = list(yaml.safe_load_all(file.read_text()))
    check = _of_values if file.name.startswith("values") else _of_object
    return [problem for document in documents for problem in check(document)]


def _of_object(document: dict[str, Any]) -> Iterator[str]:
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"


def _of_values(values: Any, known: Any = chart.CHART, path: str = "") -> Iterator[str]:
    """Yield what the chart doesn't know; the objects of Kubernetes in the values are validated in a pod."""
    if not isinstance(known, dict):
        yield from (f"{path}{problem}" for problem in _of_value(values, known))
        return
    for name, value in values.items():
        where = f"{path}.{name}" if path else name
        if name in known:
            yield from _of_values(value, known[name], where)
        else:
            yield f"{where}: the chart has no such value"


def _of_value(value: Any, kind: str) -> Iterator[str]:
    if kind == chart.SETTINGS:
        yield from _of_settings(value)
    elif kind in _LISTED:
        yield from (f": {each}" for each in value if each.keys() != _LISTED[kind])
    elif kind not in _PLAIN:
        yield from (f": {problem}" for problem in _of_object(_pod(kind, value)))
    elif type(value) is not _PLAIN[kind]:
        yield f": {value!r} is no {kind}"


def _of_settings(config: dict[str, dict[str, Any]]) -> Iterator[str]:
    for section, options in config.items():
        for option, value in options.items():
            if option not in chart.OPTIONS.get(section, ()):
                yield f".{section}.{option}: Airflow has no such setting"
            elif type(value) is not str:
                # The chart writes a number of a million as 1e+06.
                yield f".{section}.{option}: {value!r} is no text"


def _pod(kind: str, value: Any) -> dict[str, Any]:
    """Return a pod with a part of the values at its place."""
    container: dict[str, Any] = {"name": "base", "image": "airflow"}
    spec: dict[str, Any] = {"containers": [container]}
    places = {
        chart.RESOURCES: (container, "resources"),
        chart.CONTAINER_SECURITY: (container, "securityContext"),
        chart.MOUNTS: (container, "volumeMounts"),
        chart.POD_SECURITY: (spec, "securityContext"),
        chart.VOLUMES: (spec, "volumes"),
    }
    place, name = places[kind]
    place[name] = value
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "of-values"}, "spec": spec}
