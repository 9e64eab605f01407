"""What Airflow's provider for OpenLineage asks an operator for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    # Names of data sets are wanted when the task runs.
    from airflow_fanout.adapters.lineage import Lineage


class HasLineage:
    """An operator that tells OpenLineage what it reads and writes, if Airflow's provider for that is installed.

    The provider calls these methods in a process of its own, and writes what they raise into the task's log.
    """

    def lineage(self) -> Lineage:
        """Return what the task reads and writes; its templates are rendered."""
        raise NotImplementedError

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Return what the task is about to read and write."""
        return _for_openlineage(self.lineage())

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002 - its signature
        """Return what the task has read and written."""
        return _for_openlineage(self.lineage())

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002 - its signature
        """Return what the task was to read and write."""
        return _for_openlineage(self.lineage())


def _for_openlineage(lineage: Lineage) -> OperatorLineage[Any, Any]:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    facets = {}
    if lineage.rows is not None:
        written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=lineage.rows)
        facets = {"outputStatistics": written}
    return OperatorLineage(
        inputs=[InputDataset(*data_set) for data_set in lineage.inputs],
        outputs=[OutputDataset(*data_set, outputFacets=dict(facets)) for data_set in lineage.outputs],
    )
