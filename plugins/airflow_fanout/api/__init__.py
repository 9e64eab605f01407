"""How an API is asked, and how its answers and failures are read."""
