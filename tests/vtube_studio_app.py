"""VTube Studio as its public specification describes it, as far as a plugin meets it; written from DenchiSoft's README.

It keeps what was injected with its time, forgets a parameter that is not said again within a second, and refuses as the
specification's error numbers say.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.sync.server import ServerConnection, serve

DEFAULTS = {"FaceAngleX", "FaceAngleY", "FaceAngleZ", "FacePositionX", "FacePositionY", "FacePositionZ"}
DEFAULTS |= {"MouthOpen", "MouthSmile", "MouthX", "Brows", "BrowLeftY", "BrowRightY", "CheekPuff", "TongueOut"}
DEFAULTS |= {"EyeOpenLeft", "EyeOpenRight", "EyeLeftX", "EyeLeftY", "EyeRightX", "EyeRightY", "FaceAngry"}
LOST_S = 1.0
MOST_OF_ONE, MOST = 100, 300


class ApiError(Exception):
    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass
class App:
    """The app's state, which outlives its connections and restarts."""

    allow: bool = True  # what the user answers
    asking: bool = False  # a question is open
    active: bool = True  # plugin API access
    tokens: dict[str, str] = field(default_factory=dict)  # token -> plugin
    custom: dict[str, str] = field(default_factory=dict)  # parameter -> plugin
    taken_by_another: set[str] = field(default_factory=set)
    injected: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    asked: int = 0  # questions to the user
    requests: list[dict[str, Any]] = field(default_factory=list)

    def value(self, name: str) -> float | None:
        """What a parameter is now; None when it is lost."""
        for at, values in reversed(self.injected):
            if name in values:
                return values[name] if time.monotonic() - at < LOST_S else None
        return None

    def answer(self, request: dict[str, Any], session: dict[str, str]) -> dict[str, Any]:
        kind, data = request["messageType"], request.get("data") or {}
        if not self.active:
            raise ApiError(1, "API access deactivated.")
        if kind == "AuthenticationTokenRequest":
            return self._ask(data)
        if kind == "AuthenticationRequest":
            good = self.tokens.get(data["authenticationToken"]) == data["pluginName"]
            if good:
                session["plugin"] = data["pluginName"]
            return {"authenticated": good, "reason": "Token valid." if good else "Token invalid or revoked."}
        if "plugin" not in session:
            raise ApiError(8, "Request requires authentication.")
        if session["plugin"] not in self.tokens.values():
            raise ApiError(50, "User has denied API access for your plugin.")
        if kind == "ParameterCreationRequest":
            return self._create(data, session["plugin"])
        if kind == "InjectParameterDataRequest":
            return self._inject(data)
        raise ApiError(7, f"Unknown request type {kind}.")

    def _ask(self, data: dict[str, Any]) -> dict[str, Any]:
        for name, number in (("pluginName", 52), ("pluginDeveloper", 53)):
            if not 3 <= len(data[name]) <= 32:
                raise ApiError(number, f"{name} invalid.")
        if self.asking:
            raise ApiError(51, "Token request is currently ongoing.")
        self.asked += 1
        if not self.allow:
            raise ApiError(50, "User has denied API access for your plugin.")
        token = f"token-{self.asked}-of-{data['pluginName']}"
        self.tokens[token] = data["pluginName"]
        return {"authenticationToken": token}

    def _create(self, data: dict[str, Any], plugin: str) -> dict[str, Any]:
        name = data["parameterName"]
        if not re.fullmatch("[A-Za-z0-9]{4,32}", name):
            raise ApiError(350, "Parameter name invalid.")
        if not all(isinstance(data[k], (int, float)) and abs(data[k]) <= 1e6 for k in ("min", "max", "defaultValue")):
            raise ApiError(351, "Values invalid.")
        if self.custom.get(name, plugin) != plugin:
            raise ApiError(352, "Created by another plugin.")
        if len(data.get("explanation", "")) >= 256:
            raise ApiError(353, "Explanation too long.")
        if name in DEFAULTS:
            raise ApiError(354, "Default parameter name.")
        if name not in self.custom:
            if list(self.custom.values()).count(plugin) >= MOST_OF_ONE:
                raise ApiError(355, "Plugin limit exceeded.")
            if len(self.custom) >= MOST:
                raise ApiError(356, "Total limit exceeded.")
        self.custom[name] = plugin
        return {"parameterName": name}

    def _inject(self, data: dict[str, Any]) -> dict[str, Any]:
        values = {one["id"]: one["value"] for one in data["parameterValues"]}
        if not values:
            raise ApiError(450, "No data provided.")
        if not all(isinstance(v, (int, float)) and abs(v) <= 1e6 for v in values.values()):
            raise ApiError(451, "Value invalid.")
        if unknown := [name for name in values if name not in DEFAULTS | set(self.custom)]:
            raise ApiError(453, f"Parameter {unknown[0]} not found.")
        if data.get("mode", "set") == "set" and self.taken_by_another & set(values):
            raise ApiError(454, "Parameter is controlled by another plugin.")
        self.injected.append((time.monotonic(), values))
        return {}


class Running:
    """The app on a port; `stop` and a new `Running` on the same port are its restart."""

    def __init__(self, app: App, port: int = 0) -> None:
        self.app = app
        self._connections: set[ServerConnection] = set()
        self._server = serve(self._serve, "127.0.0.1", port)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        for connection in list(self._connections):
            connection.close()
        self._thread.join()

    def _serve(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        session: dict[str, str] = {}
        for text in connection:
            request = json.loads(text)
            assert request["apiName"] == "VTubeStudioPublicAPI"
            assert request["apiVersion"] == "1.0"
            assert re.fullmatch("[ -~]{1,64}", request["requestID"])
            self.app.requests.append(request)
            said = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "timestamp": int(1000 * time.time())}
            kind = request["messageType"]
            try:
                data = self.app.answer(request, session)
                kind = kind.removesuffix("Request") + "Response"
            except ApiError as error:
                kind, data = "APIError", {"errorID": error.number, "message": str(error)}
            connection.send(json.dumps({**said, "requestID": request["requestID"], "messageType": kind, "data": data}))
        self._connections.discard(connection)
