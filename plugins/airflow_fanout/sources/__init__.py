"""Where the parameter list comes from, besides an author's own callable: an HTTP API's list, page by page."""
