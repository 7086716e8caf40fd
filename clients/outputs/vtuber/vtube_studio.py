"""`--vtube-studio`: moves a Live2D model through VTube Studio's public API, JSON over a WebSocket.

The app may be absent, come, go and come back; the user is asked once whether we may, and the answer is kept.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from clients.outputs.output import Facts, Movement, Output, OutputError
from clients.outputs.vtuber.datagrams import host_and_port
from clients.outputs.vtuber.kept_tokens import KeptTokens
from clients.outputs.vtuber.live2d_parameters import ADDED, own, usual
from engine.contracts import Motion

PORT = 8001
PLUGIN = {"pluginName": "Vivify", "pluginDeveloper": "Vivify"}
AGAIN_S = 0.5  # the last values are said again after so long: after a second the app takes them for lost
ANSWER_S = 3.0
QUESTION_S = 600.0  # the user may take his time to press Allow
PAUSES_S = (0.5, 1.0, 2.0, 5.0)  # between attempts
LARGEST = 1 << 20  # bytes of an answer

DEACTIVATED, DENIED, ASKING, UNKNOWN, CONTROLLED = 1, 50, 51, 453, 454


class Refused(Exception):
    """An APIError: its number and the app's own words."""

    def __init__(self, number: int, words: str) -> None:
        super().__init__(words)
        self.number, self.words = number, words


class VTubeStudio(Output):
    """A plugin that injects parameters at the pace of the frames, and at least twice a second."""

    name = "vtube-studio"
    wants = frozenset({Movement})

    def __init__(self, address: str, tokens: KeptTokens | None = None) -> None:
        """Raises OutputError for an odd address."""
        self._host, self._port = host_and_port(address or "127.0.0.1", PORT, "--vtube-studio")
        self._where = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        self._tokens = tokens or KeptTokens()
        self._state = "starting"
        self._latest: Motion | None = None
        self._gone: OutputError | None = None
        self._moved = threading.Event()
        self._closing = threading.Event()
        self._numbers = itertools.count()
        self._socket: ClientConnection | None = None
        self._attempts = 0
        self._added = True  # whether parameters of ours are there
        self._thread = threading.Thread(target=self._run, name="vtube studio", daemon=True)

    def start(self, facts: Facts) -> None:
        self._thread.start()

    def movement(self, piece: Movement) -> None:
        if self._gone is not None:
            raise self._gone
        self._latest = piece.motion
        self._moved.set()

    @property
    def state(self) -> str:
        return self._state

    def close(self) -> None:
        self._closing.set()
        self._moved.set()
        if self._socket is not None:
            with contextlib.suppress(OSError, WebSocketException):
                self._socket.close()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._visit()
            except Refused as refused:
                if refused.number == DENIED:
                    self._tokens.put(self._where, None)
                    self._gone = OutputError(
                        "VTube Studio's user does not let Vivify move the model: start it again and press Allow there."
                    )
                    self._state = str(self._gone)
                    return
                self._state = _sentence(refused)
            except (OSError, WebSocketException, ValueError, KeyError) as error:
                self._state = f"waits for VTube Studio at {self._where}: start it, and allow its plugin API"
                if isinstance(error, ValueError | KeyError):
                    self._state = f"what answers at {self._where} is no VTube Studio ({error}): is the port right?"
            self._closing.wait(PAUSES_S[min(self._attempts, len(PAUSES_S) - 1)])
            self._attempts += 1

    def _visit(self) -> None:
        """Connect, and stay as long as it lasts. Raises Refused, OSError, WebSocketException."""
        with connect(f"ws://{self._where}", open_timeout=ANSWER_S, close_timeout=1, max_size=LARGEST) as socket:
            self._socket = socket
            try:
                self._authenticate(socket)
                self._add(socket)
                self._attempts = 0
                self._inject(socket)
            finally:
                self._socket = None

    def _authenticate(self, socket: ClientConnection) -> None:
        """Show the token; ask for one where there is none, or the old one is no longer good."""
        for asked in (False, True):
            token = self._tokens.get(self._where)
            if token is None:
                token = self._ask(socket)
            answer = self._request(socket, "AuthenticationRequest", {**PLUGIN, "authenticationToken": token})
            if answer["authenticated"]:
                return
            self._tokens.put(self._where, None)
            if asked:
                raise Refused(DENIED, str(answer.get("reason", "")))

    def _ask(self, socket: ClientConnection) -> str:
        """Have the app ask its user. Raises Refused when he says no, or a question is open already."""
        self._state = "press Allow in VTube Studio: it asks whether Vivify may move the model"
        answer = self._request(socket, "AuthenticationTokenRequest", dict(PLUGIN), QUESTION_S)
        token = str(answer["authenticationToken"])
        self._tokens.put(self._where, token)
        return token

    def _add(self, socket: ClientConnection) -> None:
        """Make the parameters of ours; where there is no room for them, do without."""
        self._added = True
        try:
            for added in ADDED:
                fields = {"parameterName": added.name, "explanation": added.explanation}
                fields |= {"min": 0, "max": 1, "defaultValue": 0}  # type: ignore[dict-item]
                self._request(socket, "ParameterCreationRequest", fields)
        except Refused as refused:
            if refused.number < 350:
                raise
            self._added = False

    def _inject(self, socket: ClientConnection) -> None:
        """Say what the face does, as often as it moves."""
        while not self._closing.is_set():
            self._moved.wait(AGAIN_S)
            self._moved.clear()
            motion = self._latest
            if motion is None or self._closing.is_set():
                continue
            values = usual(motion) | (own(motion) if self._added else {})
            told = [{"id": name, "value": value} for name, value in values.items()]
            data = {"faceFound": True, "mode": "set", "parameterValues": told}
            try:
                self._request(socket, "InjectParameterDataRequest", data)
            except Refused as refused:
                if refused.number == UNKNOWN and self._added:
                    self._added = False  # somebody deleted ours: one unknown name refuses all
                    continue
                if refused.number != CONTROLLED:
                    raise
                self._state = _sentence(refused)
                self._closing.wait(1.0)
                continue
            self._state = f"moves {len(told)} parameters at {self._where}"

    def _request(
        self, socket: ClientConnection, kind: str, data: dict[str, Any], patience: float = ANSWER_S
    ) -> dict[str, Any]:
        """One request, one answer. Raises Refused, and TimeoutError (an OSError) where none comes."""
        number = f"vivify-{next(self._numbers)}"
        said = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0", "requestID": number}
        socket.send(json.dumps({**said, "messageType": kind, "data": data}))
        until = time.monotonic() + patience
        while True:
            answer = json.loads(socket.recv(timeout=max(until - time.monotonic(), 0.0)))
            if answer["messageType"] == "APIError" and answer.get("requestID") in (number, None, ""):
                raise Refused(int(answer["data"]["errorID"]), str(answer["data"].get("message", "")))
            if answer.get("requestID") == number:
                found: dict[str, Any] = answer["data"]
                return found


def _sentence(refused: Refused) -> str:
    """What the app's refusal means, and what to do."""
    known = {
        DEACTIVATED: "VTube Studio's plugin API is off: switch on 'Allow Plugin API access' in its settings",
        ASKING: "VTube Studio is asking its user already: answer the question that stands there",
        UNKNOWN: "VTube Studio does not know a parameter that every version has: is it up to date?",
        CONTROLLED: "another plugin moves the same parameters of VTube Studio: end that one",
    }
    words = f"VTube Studio refuses (error {refused.number}: {refused.words:.120})"
    return known.get(refused.number, words)
