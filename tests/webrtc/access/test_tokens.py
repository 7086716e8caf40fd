"""Tokens, fixed and signed: what they give the right to, for how long, and that nothing else is taken for one."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import VivifyError
from webrtc.access import tokens
from webrtc.access.addresses import OtherSession, address_for
from webrtc.access.rights import ALL_RIGHTS, Caller
from webrtc.access.tokens import BadToken, Tokens, read_tokens, sign
from webrtc.server_config import ServerConfig

pytestmark = pytest.mark.cpu

KEY = "a key of thirty-two bytes, or more"
FIXED = "a-fixed-token-of-good-length"


def taken(shown: str, fixed: str | None = None, key: str | None = KEY) -> Caller:
    return Tokens(read_tokens(fixed), key).caller(shown, "192.0.2.1")


def signed(**claims: Any) -> str:
    return jwt.encode({"exp": int(time.time()) + 60, "rights": ["speak"], **claims}, KEY, "HS256")


def test_without_tokens_everybody_has_all_rights() -> None:
    assert Tokens((), None).caller("", "192.0.2.1") == Caller("192.0.2.1", "192.0.2.1", ALL_RIGHTS)


def test_a_token_may_ask_for_the_badge() -> None:
    assert taken(sign(KEY, badge=True)).badge
    assert not taken(sign(KEY)).badge
    with pytest.raises(BadToken, match="badge"):
        taken(signed(badge="yes"))


def test_fixed_tokens_have_all_rights_or_those_they_name() -> None:
    given = f"{FIXED}, another-of-good-length:watch+figures"
    assert taken(FIXED, given).rights == ALL_RIGHTS
    other = taken("another-of-good-length", given)
    assert other.rights == {"watch", "figures"}
    assert other.owner != taken(FIXED, given).owner
    assert FIXED not in other.owner + taken(FIXED, given).owner, "what is kept is no secret"
    for wrong in ("", FIXED[:-1], FIXED + "x", given, "another-of-good-length:watch+figures", "é"):
        with pytest.raises(BadToken):
            taken(wrong, given)


@pytest.mark.parametrize("text", ["", "short", f"{FIXED},", f"{FIXED}:", f"{FIXED}:wach", f"{FIXED}:watch:speak"])
def test_what_cannot_be_a_token_is_refused_at_start(text: str) -> None:
    with pytest.raises(VivifyError, match=r"expected|must have"):
        ServerConfig(token=text)


def test_a_server_for_others_may_have_a_key_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ServerConfig(host="0.0.0.0", token_key=KEY).guarded
    assert KEY not in repr(ServerConfig(token_key=KEY, token=FIXED))
    assert FIXED not in repr(ServerConfig(token_key=KEY, token=FIXED))
    with pytest.raises(VivifyError, match="at least 32 bytes"):
        ServerConfig(token_key=KEY[:31])
    monkeypatch.setattr(tokens, "find_spec", lambda name: None)
    with pytest.raises(VivifyError, match=r"vivify\[tokens\]"):
        ServerConfig(token_key=KEY)


def test_a_signed_token_says_who_may_do_what() -> None:
    caller = taken(sign(KEY, ("speak", "watch"), subject="ann", session="a-session-of-anns"))
    assert caller == Caller("subject ann", "192.0.2.1", frozenset({"speak", "watch"}), "a-session-of-anns", True)
    nobody = [taken(signed(jti=n)) for n in "ab"]
    assert nobody[0].owner != nobody[1].owner, "without a subject each token is an owner of its own"
    assert not nobody[0].personal
    assert taken(signed(aud="vivify", iss="shop", iat=1, more={})).rights == {"speak"}
    assert taken(signed(aud=["shop", "vivify"])).rights == {"speak"}


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": int(time.time()) - 3600}, "time is over"),
        ({"exp": int(time.time()) + 26 * 3600}, "24 hours at most"),
        ({"nbf": int(time.time()) + 3600}, "expected"),
        ({"exp": None}, "exp and rights"),
        ({"exp": "soon"}, "exp and rights"),
        ({"exp": float("inf")}, "exp and rights"),
        ({"exp": True}, "time is over"),
        ({"rights": None}, "rights"),
        ({"rights": []}, "rights"),
        ({"rights": "speak"}, "list of"),
        ({"rights": ["speak", "all"]}, "list of"),
        ({"rights": [["speak"]]}, "list of"),
        ({"rights": {"speak": 1}}, "list of"),
        ({"aud": "shop"}, "audience"),
        ({"aud": ["shop"]}, "audience"),
        ({"sub": ""}, "sub"),
        ({"sub": "x" * 129}, "sub"),
        ({"session": 7}, "session"),
        ({"session": ""}, "session"),
    ],
)
def test_a_signed_token_that_says_something_else_is_refused(claims: dict[str, Any], words: str) -> None:
    with pytest.raises(BadToken, match=words):
        taken(signed(**claims))


def unsigned(header: Any, payload: Any) -> str:
    parts = (header, payload, b"")
    texts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts]
    return ".".join(base64.urlsafe_b64encode(text).decode().rstrip("=") for text in texts)


CLAIMS = {"exp": int(time.time()) + 1800, "rights": ["speak"]}


@pytest.mark.parametrize(
    "token",
    [
        jwt.encode(CLAIMS, KEY + "!", "HS256"),
        jwt.encode(CLAIMS, KEY * 2, "HS512"),
        jwt.encode(CLAIMS, None, "none"),
        unsigned({"alg": "none"}, CLAIMS),
        unsigned({"alg": "HS256"}, CLAIMS),
        unsigned({"alg": "HS256", "jwk": {"kty": "oct", "k": "QUFB"}}, CLAIMS),
        unsigned(b"[" * 2900, b"1"),
        unsigned([], []),
        "a.b.c",
        "..",
        "x" * 5000 + "..",
    ],
    ids=range(11),  # names that hold the time of day would differ between the processes that share the tests
)
def test_what_others_signed_is_no_token(token: str) -> None:
    with pytest.raises(BadToken):
        taken(token)


def test_a_changed_token_is_none() -> None:
    head, body, tail = signed().split(".")
    more = base64.urlsafe_b64encode(json.dumps({**CLAIMS, "rights": ["figures"]}).encode()).decode().rstrip("=")
    for token in (f"{head}.{more}.{tail}", f"{head}.{body}.", f"{head}.{body}.{tail[::-1]}"):
        with pytest.raises(BadToken):
            taken(token)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(token=st.one_of(st.text(max_size=80), st.lists(st.text(max_size=60), min_size=3, max_size=3).map(".".join)))
@example("\ud800.a.b")
def test_whatever_is_shown_is_a_token_or_none(token: str) -> None:
    with pytest.raises(BadToken) as refused:
        taken(token, FIXED)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("given", [{"seconds": 0}, {"seconds": 25 * 3600}, {"rights": ()}, {"rights": ("all",)}])
def test_what_no_server_takes_is_not_signed(given: dict[str, Any]) -> None:
    with pytest.raises(VivifyError, match="expected"):
        sign(KEY, **given)


def test_who_steers_a_session_and_who_is_again_the_same() -> None:
    ann = Caller("ann", "192.0.2.1", personal=True)
    shared = Caller("token", "192.0.2.1")
    assert ann.may_steer(ann)
    assert not shared.may_steer(ann, "name", "address")
    assert Caller("boss", "", session="name").may_steer(ann, "name", "address")
    assert not Caller("ann", "", session="other").may_steer(ann, "name", "address"), "for that one alone"
    assert Caller("ann", "192.0.2.9", personal=True).is_again(ann), "at whatever address"
    assert not Caller("token", "192.0.2.9").is_again(shared), "perhaps another hand that holds it"
    assert Caller("token", "192.0.2.1").is_again(shared)


def test_a_wished_address_is_its_owners_alone() -> None:
    ann, bob = Caller("ann", ""), Caller("bob", "")
    assert address_for(ann, "stage", None) == "stage", "without tokens there is nobody to guess"
    assert address_for(ann, "stage", KEY) == address_for(ann, "stage", KEY) != address_for(bob, "stage", KEY)
    assert address_for(ann, "stage", KEY) != address_for(ann, "stage", KEY + "!")
    assert address_for(ann, "stage", KEY).startswith("stage-")
    assert address_for(ann, None, KEY) != address_for(ann, None, KEY)
    assert address_for(Caller("ann", "", session="an-address-of-anns"), None, KEY) == "an-address-of-anns"
    with pytest.raises(OtherSession):
        address_for(Caller("ann", "", session="an-address-of-anns"), "stage", KEY)
    with pytest.raises(OtherSession):
        address_for(Caller("ann", "", session="short"), None, KEY)
    for wish in ("", "a b", "../x", "x" * 65, "é"):
        with pytest.raises(VivifyError, match="wished address"):
            address_for(ann, wish, KEY)
