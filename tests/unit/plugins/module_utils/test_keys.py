# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Public keys, against libsodium as the authority."""

from __future__ import annotations

import base64
import itertools

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult
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
