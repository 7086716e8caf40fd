"""Keeps a fleet's nodes on Ray: has actors made, asks how they are, adds and retires them as the rule says.

An actor that dies is made again by Ray, on any machine that has room; a node's process that dies, by its actor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from engine.errors import VivifyError
from webrtc.fleet.on_ray.directory import actor_name, told_by
from webrtc.fleet.on_ray.node_actor import NodeActor, Share, Told
from webrtc.fleet.scaling import Limits, Scaling, Seen
from webrtc.server_config import ServerConfig

log = logging.getLogger("vivify")

LOOK_EVERY_S = 0.5
WAITING_S = 10.0  # after which it is said that there is no machine for a node
PAUSE_S = 30.0  # after a node that could not start, before another is started
HEAD = "node:__internal_head__"  # a resource of the machine that Ray's head is on, by Ray's own name
Say = Callable[[str], None]


@dataclass(slots=True)
class _Made:
    """An actor that was asked for."""

    actor: Any
    since: float
    told: Told | None = None
    leaving: asyncio.Task[None] | None = None
    waits: bool = False  # it was said that it waits


class RayKeeper:
    """The nodes of one fleet. ``namespace`` is Ray's, and the fleet's own."""

    def __init__(self, config: ServerConfig, share: Share, limits: Limits, namespace: str) -> None:
        self.made: dict[str, _Made] = {}
        self._config, self._share, self._limits, self._namespace = config, share, limits, namespace
        self._scaling = Scaling(limits)
        self._say: Say = lambda text: None
        self._count = 0
        self._not_before = 0.0  # when another may be started
        self._stopping = False
        self._rolling = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    async def start(self, say: Say) -> None:
        """Have the least number of nodes made, and wait until they serve. Raises VivifyError."""
        self._say = say
        for _ in range(self._limits.least):
            self._make()
        while not all(one.told is not None and one.told.up for one in self.made.values()):
            await self._ask()
            for name, one in self.made.items():
                if one.told is not None and one.told.error is not None:
                    raise VivifyError(one.told.error)
                if one.told is not None:
                    say(one.told.progress)
                elif time.monotonic() - one.since > WAITING_S:
                    say(f"node {name} waits for a machine with {_wanted(self._share)} free")
            await asyncio.sleep(LOOK_EVERY_S / 2)
        self._looking = asyncio.create_task(self._keep_looking())

    async def roll(self) -> None:
        """Renew all, one after another: each drains, and is there again before the next one's turn."""
        async with self._rolling:
            for name, one in list(self.made.items()):
                if not self._stopping and name in self.made and one.leaving is None:
                    with contextlib.suppress(RayError):  # it died instead: Ray makes it anew
                        await one.actor.renew.remote()

    async def stop(self) -> None:
        """End all: each drains. Calling it again hurries them."""
        self._stopping = True
        await asyncio.gather(*(self._end(one) for one in self.made.values()))
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _make(self) -> str:
        self._count += 1
        name = f"n{self._count}"
        local = {HEAD: 0.001} if self._config.loopback else None  # nobody elsewhere could reach it
        actor = (
            ray.remote(NodeActor)
            .options(
                name=actor_name(name),
                namespace=self._namespace,
                num_cpus=self._share.cores,
                num_gpus=self._share.gpus,
                resources=local,
                max_restarts=-1,
            )
            .remote(replace(self._config, node=name), self._share)
        )
        self.made[name] = _Made(actor, time.monotonic())
        return name

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._ask()
            if not self._stopping:
                self._act(time.monotonic())

    async def _ask(self) -> None:
        await asyncio.gather(*(self._hear(name, one) for name, one in list(self.made.items())))

    async def _hear(self, name: str, one: _Made) -> None:
        try:
            one.told = await told_by(one.actor)
        except RayActorError as error:
            if one.leaving is None:
                one.told = Told("", 0, "", False, 0, 0, False, f"Node {name} could not be made: {error}", "")

    def _act(self, now: float) -> None:
        """Do as the rule says."""
        for name, one in list(self.made.items()):
            if one.told is not None and one.told.error is not None and one.leaving is None:
                log.warning("node %s could not start: %s", name, one.told.error)
                self._not_before = now + PAUSE_S
                self._let_leave(name)
            elif one.told is None and now - one.since > WAITING_S and not one.waits:
                one.waits = True
                log.warning("node %s waits for a machine with %s free", name, _wanted(self._share))
        wishes = self._scaling.decide([_seen(name, one) for name, one in self.made.items()], now)
        for _ in range(wishes.start if now >= self._not_before else 0):
            log.info("node %s is added", self._make())
        for name in wishes.retire:
            log.info("node %s is one too many: nobody new is sent there", name)
            self.made[name].actor.retire.remote(True)
        for name in wishes.recall:
            log.info("node %s is wanted again", name)
            self.made[name].actor.retire.remote(False)
        for name in wishes.leave:
            if self.made[name].leaving is None:
                self._let_leave(name)

    def _let_leave(self, name: str) -> None:
        one = self.made[name]

        async def leave() -> None:
            await self._end(one)
            self.made.pop(name, None)
            log.info("node %s has left", name)

        one.leaving = asyncio.create_task(leave())

    @staticmethod
    async def _end(one: _Made) -> None:
        """Let a node drain, then have Ray forget its actor."""
        if one.told is None:  # there is none, or nobody knows
            with contextlib.suppress(RayError, TimeoutError):
                one.told = await told_by(one.actor)
        if one.told is not None:
            with contextlib.suppress(RayError):
                await one.actor.leave.remote()
        ray.kill(one.actor, no_restart=True)


def _seen(name: str, one: _Made) -> Seen:
    told = one.told
    if told is None:
        return Seen(name, False)
    return Seen(name, told.up, told.slots, told.free, told.retired or one.leaving is not None)


def _wanted(share: Share) -> str:
    gpus = f" and {share.gpus:g} of a GPU" if share.gpus else ""
    return f"{share.cores:g} {'core' if share.cores == 1 else 'cores'}{gpus}"
