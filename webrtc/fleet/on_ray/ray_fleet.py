"""A fleet on Ray, as one service: nodes as actors, the door a deployment of Ray Serve's; drained and ended together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ray import serve
from ray.exceptions import RayError

from engine.errors import VivifyError
from webrtc.fleet.on_ray import cluster
from webrtc.fleet.on_ray.door_deployment import FleetDoor
from webrtc.fleet.on_ray.node_actor import Share
from webrtc.fleet.on_ray.ray_keeper import HEAD, RayKeeper
from webrtc.fleet.scaling import Limits
from webrtc.logs import write_logs
from webrtc.server_config import ServerConfig
from webrtc.upkeep.listening import AfterStart, listen, url_of

log = logging.getLogger("vivify")

ONGOING = 100_000  # requests and sockets at a time: the door has limits of its own
HEALTH_EVERY_S = 1.0
LOOK_EVERY_S = 0.2


async def serve_fleet(
    config: ServerConfig,
    share: Share,
    limits: Limits,
    address: str | None,
    on_progress: Callable[[str], None],
    after_start: AfterStart,
) -> None:
    """Serve until a signal (SIGTERM, SIGINT) has drained all nodes, or ``after_start`` says to end; SIGHUP renews them.

    ``address`` is of a Ray cluster, None for one of this machine alone. Raises VivifyError.
    """
    if config.logs is not None:
        write_logs(config.logs)
    with listen(config.host, config.port) as sock:  # before anything takes long; the door itself listens elsewhere
        url = url_of(sock)
    on_progress("starting Ray" if address is None else f"joining Ray at {address}")
    namespace = f"vivify-{config.port}"
    there = await asyncio.to_thread(cluster.join, address, namespace, share.gpus, config.logs is not None)
    try:
        _fits(share, limits, there)
        nodes_config = replace(config, proxies=(*config.proxies, there.head))  # the door tells them who asks
        await _Service(config, RayKeeper(nodes_config, share, limits, namespace), share, namespace).run(
            url, on_progress, after_start
        )
    finally:
        await asyncio.to_thread(cluster.leave)


def _fits(share: Share, limits: Limits, there: cluster.Cluster) -> None:
    """Raises VivifyError where the least number of nodes wants more than all machines have."""
    cores, gpus = limits.least * share.cores, limits.least * share.gpus
    if cores > there.cores or gpus > there.gpus:
        raise VivifyError(
            f"{limits.least} nodes need {cores:g} cores and {gpus:g} GPUs, but the cluster has {there.cores:g} and "
            f"{there.gpus:g}: give --min-nodes, --node-cores or --node-gpus a smaller number."
        )


class _Service:
    """Nodes and door, and what a signal does to them."""

    def __init__(self, config: ServerConfig, keeper: RayKeeper, share: Share, name: str) -> None:
        self._config, self._keeper, self._name = config, keeper, name
        self._redirects = share.first_port is not None
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._handle: Any = None

    async def run(self, url: str, on_progress: Callable[[str], None], after_start: AfterStart) -> None:
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGTERM, self._begin, self._drain)
            loop.add_signal_handler(signal.SIGINT, self._begin, self._drain)
            await self._start(on_progress)
            if not self._ended.is_set():
                loop.add_signal_handler(signal.SIGHUP, self._begin, self._keeper.roll)
                await self._beside(after_start(url))
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
            for task in self._tasks:
                task.cancel()
            await self._keeper.stop()
            if self._handle is not None:
                await asyncio.to_thread(serve.delete, self._name)

    async def _start(self, on_progress: Callable[[str], None]) -> None:
        """Raises VivifyError."""
        starting = [asyncio.create_task(self._keeper.start(on_progress)), asyncio.create_task(self._open_door())]
        ending = asyncio.create_task(self._ended.wait())
        waiting: set[asyncio.Task[Any]] = {*starting}
        try:
            while waiting and not ending.done():
                done, _ = await asyncio.wait({*waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
                for task in done & waiting:
                    await task
                waiting -= done
        finally:
            for task in (*starting, ending):
                task.cancel()
            await asyncio.gather(*starting, ending, return_exceptions=True)

    async def _open_door(self) -> None:
        deployment = serve.deployment(
            name="door",
            num_replicas=1,
            max_ongoing_requests=ONGOING,
            health_check_period_s=HEALTH_EVERY_S,
            graceful_shutdown_timeout_s=HEALTH_EVERY_S,
            ray_actor_options={"num_cpus": 0, "resources": {HEAD: 0.001}},  # where its clients look for it
        )
        door = deployment(FleetDoor)
        bound = door.bind(self._config, self._name, self._redirects)
        target = serve.RunTarget(bound, name=self._name, route_prefix=None)
        try:  # not `serve.run`: it waits on a thread that nothing ends
            await asyncio.to_thread(serve.run_many, [target], wait_for_applications_running=False)
            while (state := await asyncio.to_thread(_state, self._name)) != "RUNNING":
                if state == "DEPLOY_FAILED":
                    raise VivifyError("Ray Serve was expected to open the door, but could not: see 'serve status'.")
                await asyncio.sleep(LOOK_EVERY_S)
            self._handle = await asyncio.to_thread(serve.get_app_handle, self._name)
        except (RuntimeError, RayError) as error:
            raise VivifyError(f"Ray Serve was expected to open the door, but {_first_line(error)}") from error
        if why := await self._handle.begin.remote():
            raise VivifyError(why)

    def _begin(self, what: Callable[[], Any]) -> None:
        task = asyncio.get_running_loop().create_task(what())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        """Nobody new comes in, all nodes drain; a second signal hurries them."""
        if self._handle is not None:
            with contextlib.suppress(RayError):
                await self._handle.close.remote()
        await self._keeper.stop()
        self._ended.set()

    async def _beside(self, work: Any) -> None:
        """Until a signal has ended all, or ``work`` says so."""
        task, ending = asyncio.ensure_future(work), asyncio.create_task(self._ended.wait())
        await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif await task:
            await ending
        ending.cancel()


def _state(name: str) -> str:
    """Of an application of Serve's."""
    there = serve.status().applications.get(name)
    return there.status.value if there is not None else "NOT_STARTED"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
