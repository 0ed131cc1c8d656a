"""An HTTP client with retries and limits."""
