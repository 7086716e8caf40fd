"""A Ray cluster to run on: one that is there, or one of this machine alone, which ends with us."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import serve

from engine.cores import usable_cores
from engine.errors import VivifyError

ROOT = Path(__file__).resolve().parents[3]
OBJECT_STORE = 100 << 20  # bytes: hardly anything passes through it


@dataclass(frozen=True, slots=True)
class Cluster:
    """``head``: the address of the machine that Ray's head is on. ``cores``, ``gpus``: of all machines."""

    head: str
    cores: float
    gpus: float


def join(address: str | None, namespace: str, gpus: float, shows_logs: bool) -> Cluster:
    """Join the cluster at ``address`` (``auto``: the one of this machine), or start one here. Raises VivifyError.

    ``gpus``: whether some are wanted; one that is started here has none else. ``shows_logs``: what actors write comes
    to our standard error stream.
    """
    told: dict[str, Any] = {
        "namespace": namespace,
        "log_to_driver": shows_logs,
        "logging_level": logging.ERROR,
        "configure_logging": False,
    }
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), path)))  # its workers are to find us
        told |= {"num_cpus": usable_cores(), "include_dashboard": False, "object_store_memory": OBJECT_STORE}
        told |= {} if gpus else {"num_gpus": 0}
    try:
        ray.init(address or "local", **told)
    except Exception as error:  # of many kinds; a ConnectionError where nobody is
        where = f"join a Ray cluster at '{address}'" if address else "start Ray on this machine"
        last = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise VivifyError(f"The fleet was expected to {where}, but that failed ({last}): see 'ray status'.") from None
    if address is None:
        serve.start(proxy_location="Disabled")  # the door listens by itself
    all_of = ray.cluster_resources()
    heads = [one["NodeManagerAddress"] for one in ray.nodes() if "node:__internal_head__" in one["Resources"]]
    return Cluster(heads[0] if heads else "127.0.0.1", all_of.get("CPU", 0.0), all_of.get("GPU", 0.0))


def leave() -> None:
    """End what `join` began: the cluster, if it is our own."""
    ray.shutdown()
