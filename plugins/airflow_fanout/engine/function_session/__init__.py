"""A session of requests' whose usual requests go over libcurl, and are answered as requests would answer them."""
