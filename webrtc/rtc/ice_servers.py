"""Which STUN and TURN servers a connection asks."""

from __future__ import annotations

from aiortc import RTCConfiguration, RTCIceServer

from webrtc.server_config import IceServer


def configuration(servers: tuple[IceServer, ...]) -> RTCConfiguration:
    """Of a connection that asks these STUN and TURN servers, and, unlike aiortc's default, no public one."""
    return RTCConfiguration(iceServers=[RTCIceServer(s.url, s.username, s.credential) for s in servers])


def no_servers() -> RTCConfiguration:
    """Host candidates only."""
    return configuration(())
