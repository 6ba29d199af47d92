# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry's file, edited in any way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.archive import sha256
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.export import from_file, to_file
from hypothesis import given
from hypothesis import strategies as st


@given(st.data())
def test_no_edit_of_an_export_is_lost_in_silence_or_ends_in_a_traceback(data: st.DataObject) -> None:
    """Whatever a file holds, each line is imported or refused by name, or the file as a whole is."""
    items: list[dict[str, Any]] = [
        {"pk": "generation", "sk": "generation", "value": Decimal(1)},
        {"pk": "block", "sk": "1/AIDA", "user_id": "AIDA", "reason": "left", "since": Decimal(1)},
        {"pk": "sign", "sk": "x"},
    ]
    content = bytearray(to_file(items))
    for _edit in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    edited = bytes(content)
    accept = sha256(edited.partition(b"\n")[2])
    try:
        contents = from_file(edited, accept)
    except ValueError:
        return
    lines = edited.partition(b"\n")[2].decode("utf-8", "replace").splitlines()
    assert len(contents.items) + len(contents.refused) == len(lines)
    assert all(one.line in lines and one.why for one in contents.refused)
