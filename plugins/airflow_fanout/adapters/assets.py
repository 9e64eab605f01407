"""The assets that loads write."""

from __future__ import annotations

from urllib.parse import quote

from airflow.sdk import Asset


def collection_asset(mongo_conn_id: str, database: str, collection: str) -> Asset:
    """Return the asset of a collection, which other DAGs can be scheduled on.

    The connection's id stands for the host: the address isn't known when a DAG file is parsed.
    """
    # Signs that an address can't have; a template keeps its braces.
    place = [quote(str(part), safe="{} ") for part in (database, collection)]
    asset = Asset(name=f"{mongo_conn_id}/{'.'.join(place)}")
    # The address has its normal form already. Given to the constructor, it is normalised by the provider, for which
    # Airflow loads its whole database layer, whenever a DAG file is parsed.
    object.__setattr__(asset, "uri", f"mongodb://{mongo_conn_id}:27017/{'/'.join(place)}")
    return asset
