"""Figures for Prometheus: this process's requests, and the state that all processes share in the database."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """Counts requests by route template and status. One per application, so that tests do not share it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mereau_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._duration = Histogram(
            "mereau_http_request_duration_seconds",
            "Time from the first byte read to the last byte sent.",
            ["method", "route"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self._methods = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"}

    def observe(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Note one request; an invented method counts as `other`, so that nobody can add series at will."""
        known = method if method in self._methods else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._duration.labels(known, route).observe(duration_s)

    def render(self) -> bytes:
        """The exposition text of this process."""
        return generate_latest(self.registry)


class StateMetrics:
    """Gauges of the moment, filled anew for each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.orders_queued = self._gauge("mereau_orders_queued", "Orders that wait for the relayer.")
        self.batches = Gauge("mereau_batches", "Batches by state.", ["state"], registry=self.registry)
        self.mirror_block = self._gauge("mereau_mirror_block", "Block number of the mirror's head.")
        self.mirror_lag = self._gauge("mereau_mirror_lag_blocks", "Blocks that the node is ahead of the mirror.")
        self.mirror_frozen = self._gauge("mereau_mirror_frozen", "1 while redemptions are stopped.")
        self.supply = self._gauge("mereau_supply_tokens", "Tokens in circulation at the mirror's head.")

    def tell_drift(self, tokens: int) -> None:
        """Note what the last reconciliation found; without one there is no figure, rather than a good one."""
        self._gauge("mereau_drift_tokens", "Drift that the last reconciliation found.").set(tokens)

    def tell_daily_run(self, finished_at_s: float) -> None:
        """Note when the last complete daily run ended; before there was one, there is no figure."""
        self._gauge("mereau_daily_run_finished_seconds", "Unix time at which a daily run was last completed.").set(
            finished_at_s
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def render(self) -> bytes:
        return generate_latest(self.registry)
