"""Where the parameter list comes from, besides an author's own callable: an HTTP API's list, page by page."""

from __future__ import annotations

from airflow_fanout.sources.http_list import HttpList
from airflow_fanout.sources.page import Header
from airflow_fanout.sources.paging import Cursor, NextLink, PageNumber

__all__ = ["Cursor", "Header", "HttpList", "NextLink", "PageNumber"]
