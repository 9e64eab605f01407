# The slim image holds Airflow alone, so that every other package is the one pinned in requirements-deploy.txt.
FROM apache/airflow:slim-3.3.2-python3.12

COPY requirements-deploy.txt /tmp/
RUN pip install --no-cache-dir --requirement /tmp/requirements-deploy.txt && pip check

# A new volume takes its owner from the folder that it covers; without these it would be root's, and read-only to Airflow.
RUN umask 0002 && mkdir -p "${AIRFLOW_HOME}/fanout" "${AIRFLOW_HOME}/logs"
