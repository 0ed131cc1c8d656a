"""The service's counters and timings, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from judgekit.types import Judgement

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_SOLUTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The metrics of one service, in a registry of their own, so that several can live in one process.

    `judgekit_requests_total{path, status}`, `judgekit_solutions_total` (judged), `judgekit_no_verdict_total{reason}`,
    `judgekit_judge_failures_total` (calls of the judge that raised), `judgekit_queue_solutions` (waiting now), and
    histograms: `judgekit_batch_solutions` (solutions a call of the judge), `judgekit_request_seconds` (from the first
    byte to the answer of `POST /judge`), `judgekit_wait_seconds` (a solution's time in the queue),
    `judgekit_judge_seconds` (one call of the judge). `judgekit_judge_info` names judge and release.
    """

    def __init__(self, *, judge_id: str, version: str) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter("judgekit_requests", "Requests", ["path", "status"], registry=registry)
        self.solutions = Counter("judgekit_solutions", "Solutions judged", registry=registry)
        self.no_verdict = Counter("judgekit_no_verdict", "Judgements without verdict", ["reason"], registry=registry)
        self.failures = Counter("judgekit_judge_failures", "Calls of the judge that raised", registry=registry)
        self.queue = Gauge("judgekit_queue_solutions", "Solutions waiting", registry=registry)
        self.batch = Histogram(
            "judgekit_batch_solutions", "Solutions per call of the judge", buckets=_SOLUTIONS, registry=registry
        )
        self.request_s = Histogram(
            "judgekit_request_seconds", "Time of a judging request", buckets=_SECONDS, registry=registry
        )
        self.wait_s = Histogram(
            "judgekit_wait_seconds", "Time of a solution in the queue", buckets=_SECONDS, registry=registry
        )
        self.judge_s = Histogram(
            "judgekit_judge_seconds", "Time of a call of the judge", buckets=_SECONDS, registry=registry
        )
        Info("judgekit_judge", "The judge served", registry=registry).info({"judge_id": judge_id, "version": version})

    def count(self, judgement: Judgement) -> None:
        """Add one judgement."""
        self.solutions.inc()
        if judgement.no_verdict is not None:
            self.no_verdict.labels(judgement.no_verdict).inc()

    def render(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self.registry)
