"""Which nodes a fleet has, for whoever asks: Ray knows its actors by name, and each tells the rest itself."""

from __future__ import annotations

import asyncio
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from webrtc.fleet.on_ray.node_actor import Told

TELL_LIMIT_S = 1.0  # for an actor to tell how it is; one that is being made, or made again, does not
PREFIX = "node "


def actor_name(node: str) -> str:
    return PREFIX + node


def find_nodes(namespace: str) -> dict[str, Any]:
    """The fleet's actors by their nodes' names. It asks Ray's head, and waits for it."""
    found: dict[str, Any] = {}
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if actor["namespace"] == namespace and actor["name"].startswith(PREFIX):
            try:
                found[actor["name"].removeprefix(PREFIX)] = ray.get_actor(actor["name"], namespace)
            except ValueError:
                continue  # it has just ended
    return found


async def told_by(actor: Any) -> Told | None:
    """How a node is; None while nobody is there to say so. Raises RayActorError for one that will not come back."""
    try:
        async with asyncio.timeout(TELL_LIMIT_S):
            told: Told = await actor.tell.remote()
            return told
    except RayActorError as error:
        if type(error).__name__ == "ActorDiedError":
            raise
        return None  # it is away for now
    except (TimeoutError, RayError):
        return None
