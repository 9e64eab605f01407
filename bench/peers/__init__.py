"""Other ways to send many requests, written as their users write them; each `fetch` returns the latencies in ms."""
