"""C2PA manifests of films: what made them, signed into the file, and read back (`pip install 'vivify[c2pa]'`)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import kernels
from clients.films.signing_keys import SigningKey, given_key, own_key
from engine.errors import VivifyError

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"  # a real photo, driven
KINDS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime"}  # of ours, those that can carry one
NO_CARRIER = ("NotFound", "NotSupported", "no JUMBF", "Io:", "could not be parsed")  # in c2pa's words
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}  # a file asks for no address of its choice
SPARING = {"core": {"backing_store_memory_threshold_in_mb": 16}}  # beyond that, what signing copies lies on disk
INSTALL = "pip install 'vivify[c2pa]'"


@dataclass(frozen=True)
class Manifest:
    """What a file says about itself. ``state`` is valid, broken, absent or unread (the reader is not installed)."""

    state: str
    trusted: bool = False
    told: str = ""
    says: dict[str, Any] = field(default_factory=dict)  # the program, the source type, consent and licence


@dataclass(frozen=True)
class Signing:
    """Whether a film gets a manifest, and by whose key: a private key and certificates, or this installation's own."""

    wanted: bool = True
    given: tuple[Path, Path] | None = None

    def key_for(self, film: Path) -> tuple[SigningKey | None, str]:
        """The key for this film, or None; and in words, what becomes of its manifest.

        Raises VivifyError where a key was given that cannot be used, before the work begins.
        """
        if not self.wanted:
            return None, "none: --no-manifest"
        if reason := why_not(film):
            if self.given:
                raise VivifyError(f"A film that can be signed was expected, but {reason}.")
            return None, f"none: {reason}"
        if self.given:
            key = given_key(*self.given)
            return key, f"signed with {key.told}"
        try:
            key = own_key()
        except VivifyError as problem:
            return None, f"none: {problem}"
        return key, f"signed with {key.told}, which nobody vouches for"


SIGNED = Signing()  # by this installation's own key


def available() -> bool:
    return find_spec("c2pa") is not None


def why_not(film: Path) -> str:
    """Why this film cannot carry a manifest, in words, or nothing."""
    if film.suffix.lower() not in KINDS:
        return f"{film.suffix} cannot carry a C2PA manifest: write .mp4 or .mov"
    return "" if available() else f"C2PA needs c2pa-python, which is not installed: {INSTALL}"


def sign_film(film: Path, key: SigningKey, facts: dict[str, str], mark: str | None) -> None:
    """Put a manifest into the film at ``film``, bound to its bytes; ``facts`` are the avatar's.

    Raises VivifyError where it cannot carry one, or the key does not fit.
    """
    if reason := why_not(film):
        raise VivifyError(f"A film that can carry a manifest was expected, but {reason}.")
    import c2pa

    fresh = film.with_name(f".{film.stem}.signed{film.suffix}")
    info = c2pa.C2paSignerInfo(key.algorithm.encode(), key.chain, key.private, None)
    kind = KINDS[film.suffix.lower()]
    try:
        with (
            c2pa.Signer.from_info(info) as signer,
            c2pa.Context.from_dict(SPARING) as context,
            c2pa.Builder(_definition(film, facts, mark), context=context) as builder,
            film.open("rb") as source,
            fresh.open("w+b") as signed,
        ):
            builder.sign(signer, kind, source, signed)
        os.replace(fresh, film)
    except (c2pa.C2paError, OSError) as problem:
        raise VivifyError(
            f"The film was expected to be signed with {key.told}, but: {str(problem).strip()}. The film is whole, "
            "and unsigned."
        ) from None
    finally:
        fresh.unlink(missing_ok=True)


def read_manifest(path: Path) -> Manifest:
    """The manifest of any file; never raises for what is in it."""
    if not available():
        return Manifest("unread", told=f"reading it needs c2pa-python: {INSTALL}")
    import c2pa

    try:
        with contextlib.ExitStack() as stack:
            context = stack.enter_context(c2pa.Context.from_dict(OFFLINE))
            reader = c2pa.Reader.try_create(str(path), context=context)
            if reader is None:
                return Manifest("absent")
            stack.enter_context(reader)
            state, active = reader.get_validation_state(), reader.get_active_manifest() or {}
            results = reader.get_validation_results() or {}
    except c2pa.C2paError as problem:
        words = str(problem)
        if any(word in words for word in NO_CARRIER):
            return Manifest("absent", told="it is no file that carries one")
        return Manifest("broken", told=words.strip()[:200])
    except (OSError, ValueError) as problem:
        return Manifest("absent", told=str(problem)[:200])
    failures = [str(entry.get("code")) for entry in (results.get("activeManifest") or {}).get("failure", [])]
    if state not in ("Valid", "Trusted"):
        return Manifest("broken", told=", ".join(failures)[:200], says=_said(active))
    trusted = state == "Trusted"
    return Manifest("valid", trusted, "" if trusted else "signed by a key that nobody vouches for", _said(active))


def _definition(film: Path, facts: dict[str, str], mark: str | None) -> dict[str, Any]:
    agent = {"name": "Vivify", "version": kernels.__version__}
    avatar = {name: facts[name] for name in ("name", "source", "licence", "license", "consent") if facts.get(name)}
    return {
        "claim_generator_info": [agent],
        "title": film.name,
        "format": KINDS[film.suffix.lower()],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE, "softwareAgent": agent}]},
            },
            {"label": "vivify.avatar", "data": {**avatar, "consent": avatar.get("consent", "not given")}},
            *([{"label": "vivify.mark", "data": {"ids": mark}}] if mark else []),
        ],
    }


def _said(active: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"title": active.get("title"), "generator": active.get("claim_generator_info")}
    for assertion in active.get("assertions", []):
        label, data = assertion.get("label", ""), assertion.get("data")
        if label.startswith("vivify."):
            said[label.removeprefix("vivify.")] = data
        elif label.startswith("c2pa.actions") and isinstance(data, dict):
            said["actions"] = data.get("actions")
    return said
