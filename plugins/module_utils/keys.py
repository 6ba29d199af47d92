# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""WireGuard's keys: what may be registered, and key pairs made in memory."""

from __future__ import annotations

import base64
import binascii
import hashlib

# The field prime of Curve25519 (RFC 7748, section 4.1).
_P = 2**255 - 19

# Points of small order: a peer with one of them gives every client the same shared secret.
# The canonical encodings of libsodium's list (crypto_scalarmult/curve25519, `has_small_order`).
_LOW_ORDER = frozenset(
    {
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _P - 1,
    }
)


def check_public_key(text: str) -> str:
    """Return `text` if it is a public key that a WireGuard client can have.

    :param text: 44 characters of base64, as `wg pubkey` prints them.
    :raises ValueError: saying what is wrong; the text itself isn't repeated, it could be a private key.
    """
    point = int.from_bytes(_decoded(text, "the public key", "wg pubkey"), "little")
    if point in _LOW_ORDER:
        raise ValueError("the public key is zero or another point of low order: it protects nothing; make a new one")
    if point >= _P:
        raise ValueError("the public key is not a canonical Curve25519 point: no client makes such a key")
    return text


def check_private_key(text: str) -> str:
    """Return `text` if it is a private key: 44 characters of base64, as `wg genkey` prints them.

    :raises ValueError: saying what is wrong; the text itself isn't repeated (R10, secrets stay home).
    """
    _decoded(text, "the private key", "wg genkey")
    return text


def _decoded(text: str, what: str, printed_by: str) -> bytes:
    """The 32 bytes of a key."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{what} is not base64; expected the 44 characters that `{printed_by}` prints") from None
    if len(raw) != 32:
        raise ValueError(f"{what} has {len(raw)} bytes; expected 32, as `{printed_by}` prints them")
    if base64.b64encode(raw).decode() != text:
        raise ValueError(f"{what} is not in canonical base64; expected what `{printed_by}` prints")
    return raw


def fingerprint(public_key: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a public key's text, to name it in logs and receipts."""
    return hashlib.sha256(public_key.encode()).hexdigest()[:16]


def public_key_of(private_key: str) -> str:
    """The public half of a private key, both base64.

    :raises ValueError: the text is no private key; it isn't repeated.
    """
    from nacl.public import PrivateKey

    raw = _decoded(private_key, "the private key", "wg genkey")
    return base64.b64encode(bytes(PrivateKey(raw).public_key)).decode()


def generate() -> tuple[str, str]:
    """A new (private key, public key), base64, made in memory."""
    from nacl.public import PrivateKey

    private = PrivateKey.generate()
    return base64.b64encode(bytes(private)).decode(), base64.b64encode(bytes(private.public_key)).decode()
