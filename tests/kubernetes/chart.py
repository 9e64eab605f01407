"""What the official chart of Airflow takes as values, as far as ours go: looked up in its documentation, chart 1.22."""

from __future__ import annotations

from typing import Any

# The chart's own words for a kind of value: a text, a number, a switch, and Kubernetes' own objects.
TEXT, NUMBER, SWITCH = "text", "number", "switch"
RESOURCES, POD_SECURITY, CONTAINER_SECURITY = "resources", "pod security", "container security"
VOLUMES, MOUNTS = "volumes", "mounts"
# A list of names and values: of a `valueFrom`, the chart would make an empty text.
ENVIRONMENT = "environment"
# Airflow's own settings: sections of texts. The chart doesn't know their names.
SETTINGS = "settings"
# A list of environment variables, each from a key of a Secret.
SECRETS = "secrets"

_PART = {"replicas": NUMBER, "resources": RESOURCES}
CHART: dict[str, Any] = {
    "executor": TEXT,
    "airflowVersion": TEXT,
    "defaultAirflowTag": TEXT,
    "images": {"airflow": {"repository": TEXT, "tag": TEXT, "pullPolicy": TEXT}},
    "fernetKeySecretName": TEXT,
    "apiSecretKeySecretName": TEXT,
    "jwtSecretName": TEXT,
    "data": {"metadataSecretName": TEXT, "brokerUrlSecretName": TEXT},
    "postgresql": {"enabled": SWITCH},
    "pgbouncer": {"enabled": SWITCH},
    "redis": {"enabled": SWITCH},
    "createUserJob": {"enabled": SWITCH},
    "securityContexts": {"pod": POD_SECURITY, "containers": CONTAINER_SECURITY},
    "config": SETTINGS,
    "secret": SECRETS,
    "scheduler": {**_PART, "podDisruptionBudget": {"enabled": SWITCH}},
    "apiServer": _PART,
    "dagProcessor": _PART,
    "triggerer": _PART,
    "workers": {
        "celery": {
            **_PART,
            "terminationGracePeriodSeconds": NUMBER,
            "env": ENVIRONMENT,
            "extraVolumes": VOLUMES,
            "extraVolumeMounts": MOUNTS,
            "persistence": {"enabled": SWITCH},
        }
    },
}
# The sections of `config` and their options, as Airflow and its providers name them.
OPTIONS = {
    "core": {"auth_manager", "load_examples"},
    "fanout": {"staging", "staging_mode", "preflight"},
    "logging": {"remote_logging", "remote_base_log_folder", "remote_log_conn_id"},
    "kubernetes_executor": {"worker_pods_creation_batch_size", "delete_worker_pods"},
    "celery": {"worker_concurrency", "task_acks_late"},
    "celery_broker_transport_options": {"visibility_timeout"},
    "scheduler": {"task_instance_heartbeat_timeout"},
}
