"""Keys that films are signed with: one that the user gives, or one made for this installation."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.errors import VivifyError
from engine.marking.installation import user_folder

YEARS = 10
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class SigningKey:
    """A private key and its certificates, the signer's own first, as PEM. ``own``: made here, so nobody vouches."""

    private: bytes
    chain: bytes
    algorithm: str
    own: bool
    told: str


def given_key(key: Path, certificates: Path) -> SigningKey:
    """The user's. Raises VivifyError for what is no such pair."""
    try:
        private, chain = key.read_bytes(), certificates.read_bytes()
        loaded = serialization.load_pem_private_key(private, None)
        signer = x509.load_pem_x509_certificates(chain)[0]
    except (OSError, ValueError, TypeError, IndexError) as problem:
        raise VivifyError(
            f"A private key and its certificates were expected in '{key}' and '{certificates}', as PEM without a "
            f"password, but: {problem}."
        ) from None
    if loaded.public_key() != signer.public_key():
        raise VivifyError(f"The key of the first certificate was expected in '{key}', but another one is there.")
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name in CURVES:
        algorithm = CURVES[loaded.curve.name]
    elif isinstance(loaded, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    elif isinstance(loaded, rsa.RSAPrivateKey):
        algorithm = "ps256"
    else:
        raise VivifyError(f"A key for ECDSA, Ed25519 or RSA was expected in '{key}', but it is for something else.")
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return SigningKey(loaded.private_bytes(*form), chain, algorithm, False, f"the key in '{key}'")


def own_key() -> SigningKey:
    """This installation's, made at the first call and kept in the user's folder (0600); nobody vouches for it.

    Raises VivifyError where it cannot be kept.
    """
    folder = user_folder()
    file = folder / "signing.pem"  # the key, then the chain: one file, so that they always belong together
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            fresh = folder / f"signing.{os.getpid()}"
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(_made())
            try:
                os.link(fresh, file)  # who comes second takes the first one's
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        whole = file.read_bytes()
    except OSError as problem:
        raise VivifyError(
            f"A key for signing films was expected to be kept in '{folder}', but: {problem}. Give one with --sign, or "
            "go without: --no-manifest."
        ) from None
    private, _, chain = whole.partition(b"-----BEGIN CERTIFICATE-----")
    return SigningKey(
        private, b"-----BEGIN CERTIFICATE-----" + chain, "es256", True, f"this installation's own key ({file})"
    )


def _made() -> bytes:
    """A key, its certificate, and that of an authority made for it alone, whose key is thrown away."""
    authority, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, subject = _name("Vivify installation, unverified: authority"), _name("Vivify installation, unverified")
    root = _certificate(issuer, issuer, authority.public_key(), authority.public_key(), True).sign(
        authority, hashes.SHA256()
    )
    own = _certificate(subject, issuer, leaf.public_key(), authority.public_key(), False).sign(
        authority, hashes.SHA256()
    )
    private = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (own, root))


def _name(words: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vivify"), x509.NameAttribute(NameOID.COMMON_NAME, words)]
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuing: ec.EllipticCurvePublicKey,
    authority: bool,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    others = "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"
    usage = dict.fromkeys([*others, "encipher_only", "decipher_only"], False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage), True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing), False)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder
