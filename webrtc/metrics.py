"""Figures for Prometheus, at ``/metrics``: what the sessions of this server did, all together.

No series is named after a session or an address, so their number does not grow with use. Latencies are histograms
filled as frames go by; counts are read from the sessions when somebody asks.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.latency import LatencyWindow

STAGES = ("features", "motion", "render", "compute", "queue", "encode", "total")
STAGE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.5, 1.0)  # seconds
OFFSET_BUCKETS = (-0.2, -0.08, -0.04, -0.02, -0.01, 0.0, 0.01, 0.02, 0.04, 0.08, 0.2)
FRAMES = ("shown", "dropped", "held")
VOICE = ("received", "lost", "concealed", "late", "padded", "shed", "hurried", "refused")
ICE_FAILURES = ("never", "lost", "restart")
LAG_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.4, 1.0, 2.0)  # seconds
OPENINGS = ("page", "whip", "whep", "socket", "refused")

Gauges = Mapping[str, float]
Totals = Mapping[tuple[str, str], float]  # (frames or voice, which) -> count or seconds


class Metrics(Collector):
    """The figures of one service.

    ``gauges`` gives what is so now: sessions, viewers, max_sessions, engine_up; ``restarts`` counts the engine's.
    ``totals`` gives the counts of the sessions that are open; those of a session that ends are kept with `add`.
    """

    def __init__(
        self, gauges: Callable[[], Gauges], restarts: Callable[[], int], totals: Callable[[], Iterable[Totals]]
    ) -> None:
        self._gauges = gauges
        self._restarts = restarts
        self._totals = totals
        self._ended: Tally[tuple[str, str]] = Tally()
        self._openings: Tally[str] = Tally()
        self._ice_failures: Tally[str] = Tally()
        self._registry = CollectorRegistry()
        stages = Histogram(
            "vivify_stage_seconds",
            "Time a frame spent in a stage; total runs from its last sample to its finished picture.",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=self._registry,
        )
        self._offset = Histogram(
            "vivify_av_offset_seconds",
            "Picture against sound at sending; positive when the picture left later.",
            buckets=OFFSET_BUCKETS,
            registry=self._registry,
        )
        self.loop_lag = Histogram(
            "vivify_event_loop_lag_seconds",
            "How much too late the server's event loop woke up, looked at ten times a second.",
            buckets=LAG_BUCKETS,
            registry=self._registry,
        )
        self._by_stage = {stage: stages.labels(stage) for stage in STAGES}
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self._registry)

    def latency(self) -> LatencyWindow:
        """A session's window whose values are counted here as well."""
        return _Counted(self._observe)

    def opened(self, way: str) -> None:
        """Somebody came in (page, whip, whep, socket), or was refused."""
        self._openings[way] += 1

    def ice_failed(self, how: str) -> None:
        """A connection never came about, was lost, or could not be restarted: one of `ICE_FAILURES`."""
        self._ice_failures[how] += 1

    def add(self, totals: Totals) -> None:
        """Keep the counts of a session that ends."""
        self._ended.update(totals)

    def collect(self) -> Iterable[Metric]:
        for name, help_text in (
            ("sessions", "Open sessions."),
            ("viewers", "Connections that watch a session."),
            ("max_sessions", "Places for sessions."),
            ("engine_up", "1 while the engine process lives."),
        ):
            yield GaugeMetricFamily(f"vivify_{name}", help_text, self._gauges()[name])
        yield CounterMetricFamily("vivify_engine_restarts", "Engine processes replaced.", self._restarts())
        openings = CounterMetricFamily("vivify_openings", "Sessions and viewers let in, and refused.", labels=["way"])
        for way in OPENINGS:
            openings.add_metric([way], self._openings[way])
        yield openings
        failures = CounterMetricFamily("vivify_ice_failures", "Connections that failed, and how.", labels=["how"])
        for how in ICE_FAILURES:
            failures.add_metric([how], self._ice_failures[how])
        yield failures
        counts: Tally[tuple[str, str]] = Tally(self._ended)
        for totals in self._totals():
            counts.update(totals)
        frames = CounterMetricFamily("vivify_frames", "Pictures sent, thrown away, and missing.", labels=["outcome"])
        for outcome in FRAMES:
            frames.add_metric([outcome], counts["frames", outcome])
        yield frames
        learned = counts["frames", "learned"]
        yield CounterMetricFamily("vivify_frames_learned", "Pictures that networks finished (--quality).", learned)
        voice = CounterMetricFamily("vivify_voice_seconds", "Sound that came, and what became of it.", labels=["what"])
        for what in VOICE:
            voice.add_metric([what], counts["voice", what])
        yield voice

    def _observe(self, name: str, milliseconds: float) -> None:
        if name == "av_offset":
            self._offset.observe(milliseconds / 1000)
        elif name in self._by_stage:
            self._by_stage[name].observe(milliseconds / 1000)


class _Counted(LatencyWindow):
    def __init__(self, observe: Callable[[str, float], None]) -> None:
        super().__init__()
        self._observe = observe

    def add(self, **stages_ms: float) -> None:
        super().add(**stages_ms)
        for name, value in stages_ms.items():
            self._observe(name, value)
