# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The OpenAPI description in docs/ is that of what is served."""

from __future__ import annotations

import base64
import re

from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey
from self_service.messages import NewKey

from tests.support.describe_function import FILE, describe


def test_documented_description_is_what_the_function_serves() -> None:
    assert FILE.read_text(encoding="utf-8") == describe(), "run: make api-description"


@given(st.binary(min_size=32, max_size=32))
def test_pattern_of_public_keys_lets_every_real_key_through(private: bytes) -> None:
    public = base64.b64encode(bytes(PrivateKey(private).public_key)).decode()
    pattern = NewKey.model_json_schema()["properties"]["public_key"]["pattern"]
    assert re.fullmatch(pattern, public)
    assert NewKey(public_key=public).public_key == public
