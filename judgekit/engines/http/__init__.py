"""A client of HTTP services that retries, and its limits."""
