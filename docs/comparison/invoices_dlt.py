"""The day's invoices of all customers, by dlt."""

from datetime import date, timedelta

import dlt
from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
from dlt.sources.rest_api import rest_api_source
from dlt.sources.sql_database import sql_table

url, client = dlt.config["billing.url"], dlt.secrets["billing.client"]
source = rest_api_source(
    {
        "client": {
            "base_url": url,
            "auth": OAuth2ClientCredentials(
                access_token_url=f"{url}/oauth/token", client_id=client["id"], client_secret=client["secret"]
            ),
        },
        "resources": [
            sql_table(dlt.secrets["crm.credentials"], "customers", included_columns=["id"]),
            {
                "name": "invoices",
                "primary_key": "id",
                "write_disposition": "merge",
                "include_from_parent": ["id"],
                "parallelized": True,
                "columns": {"amount": {"data_type": "decimal"}},
                "endpoint": {
                    "path": "customers/{resources.customers.id}/invoices",
                    "params": {"day": (date.today() - timedelta(days=1)).isoformat()},
                    "paginator": {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "cursor"},
                    "data_selector": "data",
                    "response_actions": [{"status_code": 404, "action": "ignore"}],
                },
            },
        ],
    }
)
dlt.pipeline("daily_invoices", destination="duckdb", dataset_name="reports").run(source.with_resources("invoices"))
