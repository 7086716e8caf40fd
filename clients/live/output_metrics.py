"""Figures of outputs for Prometheus, served by the process that has them: on this machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clients.outputs.output_line import OutputLine
from engine.errors import VivifyError


class OutputFigures(Collector):
    """What `/metrics` says of each output."""

    def __init__(self, lines: list[OutputLine]) -> None:
        self._lines = lines

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("vivify_output_up", "1 while somebody takes it, as far as known.", labels=["output"])
        sent = CounterMetricFamily("vivify_output_sent_bytes", "Bytes that left, of streams.", labels=["output"])
        late = GaugeMetricFamily("vivify_output_late_seconds", "How late the last piece was taken.", labels=["output"])
        given = CounterMetricFamily("vivify_output_pieces", "Pieces it took.", labels=["output", "kind"])
        dropped = CounterMetricFamily("vivify_output_dropped", "Pieces it was too slow for.", labels=["output", "kind"])
        left_out = CounterMetricFamily(
            "vivify_output_left_out", "Pieces that came while nobody took them.", labels=["output"]
        )
        for line in self._lines:
            name = [line.output.name]
            up.add_metric(name, float(line.output.up and not line.error))
            sent.add_metric(name, line.output.sent)
            late.add_metric(name, line.late_s)
            left_out.add_metric(name, line.output.left_out)
            for kind in line.output.wants:
                given.add_metric([*name, kind.__name__.lower()], line.given[kind])
                dropped.add_metric([*name, kind.__name__.lower()], line.dropped[kind])
        yield from (up, sent, late, given, dropped, left_out)


@contextmanager
def served(port: int | None, lines: list[OutputLine]) -> Iterator[None]:
    """``http://127.0.0.1:PORT/metrics`` for as long as the block runs; None serves nothing. Raises VivifyError."""
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(OutputFigures(lines))
    try:
        server, thread = start_http_server(port, "127.0.0.1", registry)
    except OSError as error:
        raise VivifyError(f"--metrics was expected to be a free port, but {port} is not ({error.strerror}).") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
