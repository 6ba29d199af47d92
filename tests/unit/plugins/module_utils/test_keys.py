# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Public keys, against libsodium as the authority."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError


def encoded(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "little")).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a key",
        "aGVsbG8=",
        "A" * 44,
        encoded(0),
        encoded(1),
        encoded(9) + "\n",
        encoded(9)[:-2] + "B=",
        encoded(2**255 + 9),
        encoded(2**255 - 19 + 9),
    ],
)
def test_what_no_client_can_have_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="public key") as caught:
        keys.check_public_key(text)
    assert not text or text not in str(caught.value)


def test_every_low_order_point_that_libsodium_refuses_is_refused() -> None:
    order_8 = (
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
    prime = 2**255 - 19
    for point in itertools.chain((0, 1, prime - 1, prime, prime + 1), order_8):
        with pytest.raises((CryptoError, RuntimeError)):
            crypto_scalarmult(b"\x08" * 32, point.to_bytes(32, "little"))
        with pytest.raises(ValueError, match="public key"):
            keys.check_public_key(encoded(point))


@given(st.binary(min_size=32, max_size=32))
def test_any_key_pair_of_libsodium_is_accepted(private: bytes) -> None:
    from nacl.public import PrivateKey

    public = base64.b64encode(bytes(PrivateKey(private).public_key)).decode()
    assert keys.check_public_key(public) == public


def test_generated_pairs_are_valid_and_differ() -> None:
    first, second = keys.generate(), keys.generate()
    assert first != second
    assert keys.check_public_key(first[1]) == first[1]


def test_public_half_is_libsodiums() -> None:
    private, public = keys.generate()
    assert keys.public_key_of(private) == public
    known = encoded(1 << 200)
    assert (
        keys.public_key_of(known)
        == base64.b64encode(crypto_scalarmult_base((1 << 200).to_bytes(32, "little"))).decode()
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("not base64", "is not base64; expected the 44 characters that `wg genkey` prints"),
        (base64.b64encode(b"x" * 31).decode(), "has 31 bytes; expected 32, as `wg genkey` prints them"),
        (base64.b64encode(b"x" * 33).decode(), "has 33 bytes; expected 32, as `wg genkey` prints them"),
        (encoded(9)[:-2] + "B=", "is not in canonical base64; expected what `wg genkey` prints"),
    ],
)
@pytest.mark.parametrize("check", [keys.check_private_key, keys.public_key_of])
def test_r10_what_is_no_private_key_is_refused_without_repeating_it(
    check: Callable[[str], str], text: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match="the private key ") as refused:
        check(text)
    assert str(refused.value) == f"the private key {complaint}"


@pytest.mark.parametrize("number", [0, 1, 2**256 - 1])
def test_any_32_bytes_are_a_private_key(number: int) -> None:
    assert keys.check_private_key(encoded(number)) == encoded(number)


def test_smallest_and_largest_points_of_the_curve_are_public_keys() -> None:
    prime = 2**255 - 19
    for point in (2, prime - 2):
        assert keys.check_public_key(encoded(point)) == encoded(point)
    with pytest.raises(ValueError, match="not a canonical Curve25519 point"):
        keys.check_public_key(encoded(prime + 2))
    with pytest.raises(ValueError, match="of low order"):
        keys.check_public_key(encoded(prime - 1))


def test_fingerprint_is_the_begin_of_a_sha256_of_the_text() -> None:
    assert keys.fingerprint("abc") == "ba7816bf8f01cfea"
