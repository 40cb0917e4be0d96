"""The HTTP API, assembled from the features' endpoints."""
