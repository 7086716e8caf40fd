"""`vivify fleet`: the service as nodes on Ray. What it is told beyond what `vivify serve` is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.cores import usable_cores
from engine.errors import VivifyError
from webrtc.fleet.scaling import Limits
from webrtc.server_config import ServerConfig
from webrtc.upkeep.listening import AfterStart


@dataclass(frozen=True, slots=True)
class FleetWishes:
    """``address``: of a Ray cluster; None: one on this machine. ``cores`` and ``gpus`` are each node's."""

    address: str | None
    least: int
    most: int | None
    spare: int
    idle_s: float
    cores: float
    gpus: float

    def __post_init__(self) -> None:
        if not 0.1 <= self.cores <= 1024:
            raise VivifyError(f"A node's cores were expected to be 0.1 or more, but {self.cores:g} were given.")
        if not 0 <= self.gpus <= 16 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise VivifyError(
                f"A node's GPUs were expected to be a part of one, or a whole number, but {self.gpus:g} were given."
            )
        if self.address is None and self.least * self.cores > usable_cores():
            raise VivifyError(
                f"{self.least} nodes of {self.cores:g} cores each were asked for, but this machine has "
                f"{usable_cores()}: give --min-nodes or --node-cores a smaller number, or --ray a cluster's address."
            )

    @property
    def limits(self) -> Limits:
        """Raises VivifyError for what cannot be."""
        local = max(self.least, int(usable_cores() / self.cores))
        return Limits(self.least, self.most or (local if self.address is None else MOST_NODES), self.spare, self.idle_s)


MOST_NODES = 1000  # of a cluster, whose machines bound them first


async def serve_on_ray(
    config: ServerConfig,
    wishes: FleetWishes,
    measured: bool,
    first_port: int | None,
    on_progress: Callable[[str], None],
    after_start: AfterStart,
) -> None:
    """As `webrtc.fleet.on_ray.ray_fleet.serve_fleet`, or a sentence where Ray is not installed."""
    try:
        from webrtc.fleet.on_ray.node_actor import Share
        from webrtc.fleet.on_ray.ray_fleet import serve_fleet
    except ImportError as missing:
        raise VivifyError(
            f"vivify fleet runs on Ray, but {missing.name} is not installed: pip install 'vivify[fleet]'; "
            "vivify serve --nodes does without it, on one machine."
        ) from None
    share = Share(wishes.cores, wishes.gpus, measured, first_port)
    await serve_fleet(config, share, wishes.limits, wishes.address, on_progress, after_start)
