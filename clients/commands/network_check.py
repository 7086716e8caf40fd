"""`vivify doctor --network`: which ways lead from this machine to others, found by trying them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from aioice import Candidate
from aioice import Connection as IceConnection
from aioice.ice import TransportPolicy
from aiortc.rtcicetransport import connection_kwargs

from clients.commands.doctor import Finding
from webrtc.rtc.ice_servers import configuration
from webrtc.server_config import IceServer

GATHER_LIMIT_S = 8.0
SEND_LIMIT_S = 8.0


def check_network(servers: tuple[IceServer, ...]) -> list[Finding]:
    """Own addresses, then each STUN and TURN server: is there an answer, and do packets come through? Never raises."""
    dated = tuple(server.dated(time.time()) for server in servers)
    checks = [_own(), *(_stun(s) if s.url.startswith("stun") else _turn(s) for s in dated)]
    if not servers:
        checks.append(_none())
    return asyncio.run(_all(checks))


async def _all(checks: list[Coroutine[Any, Any, Finding]]) -> list[Finding]:
    return [await check for check in checks]


async def _own() -> Finding:
    found = await _gathered((), TransportPolicy.ALL)
    addresses = ", ".join(c.host for c in found if c.type == "host")
    advice = "" if addresses else "this machine has no network but itself: browsers on it can still connect"
    return Finding("own addresses", bool(addresses), addresses or "none", advice, needed=False)


async def _none() -> Finding:
    advice = "clients outside this network need one: --ice-server turn:HOST:3478 --turn-secret SECRET"
    return Finding("STUN and TURN", False, "none given", advice, needed=False)


async def _stun(server: IceServer) -> Finding:
    found = [c for c in await _gathered((server,), TransportPolicy.ALL) if c.type == "srflx"]
    if found:
        return Finding(server.url, True, f"sees this machine as {found[0].host}")
    return Finding(server.url, False, "no answer, or nothing but own addresses", "check its address, and outgoing UDP")


async def _turn(server: IceServer) -> Finding:
    """Two ends, both only through the relay, and a packet between them."""
    advice = "check its address, the secret, this machine's clock, and outgoing UDP"
    ends = [_end((server,), TransportPolicy.RELAY, controlling) for controlling in (True, False)]
    try:
        async with asyncio.timeout(GATHER_LIMIT_S):
            for end in ends:
                await end.gather_candidates()
        relayed = [c.host for c in ends[0].local_candidates if c.type == "relay"]
        if not relayed:
            return Finding(server.url, False, "gives no relay", advice)
        async with asyncio.timeout(SEND_LIMIT_S):
            await _introduce(*ends)
            await asyncio.gather(*(end.connect() for end in ends))
            await ends[0].send(b"vivify")
            await ends[1].recv()
        return Finding(server.url, True, f"relays through {relayed[0]}; a packet came through")
    except (TimeoutError, OSError, ConnectionError) as error:
        return Finding(server.url, False, f"no packet came through ({type(error).__name__})", advice)
    finally:
        for end in ends:
            await end.close()


async def _introduce(first: IceConnection, second: IceConnection) -> None:
    for one, other in ((first, second), (second, first)):
        one.remote_username, one.remote_password = other.local_username, other.local_password
        for candidate in other.local_candidates:
            await one.add_remote_candidate(candidate)
        await one.add_remote_candidate(None)


async def _gathered(servers: tuple[IceServer, ...], policy: TransportPolicy) -> list[Candidate]:
    end = _end(servers, policy, True)
    try:
        async with asyncio.timeout(GATHER_LIMIT_S):
            await end.gather_candidates()
    except (TimeoutError, OSError):
        pass  # what was found until then counts
    found = list(end.local_candidates)
    await end.close()
    return found


def _end(servers: tuple[IceServer, ...], policy: TransportPolicy, controlling: bool) -> IceConnection:
    asked = connection_kwargs(configuration(servers).iceServers or [])
    return IceConnection(ice_controlling=controlling, transport_policy=policy, **asked)
