"""The one TLS adapter, the HTTP server and the HTTP client."""
