"""The HTTP API, version 1, put together from the features' endpoints."""
