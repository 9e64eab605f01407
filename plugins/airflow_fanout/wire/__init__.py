"""HTTP/1.1 as bytes: one reading of an answer's head, body and coding, whoever has received them.

libcurl reads the answers of most requests, and these modules those that `requests` sends. Where libcurl decides
something (what a line of a head may be, where a body ends), they decide the same: the same bytes, the same outcome.
"""
