# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What of a queue's message a gateway believes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.message import (
    RefusedMessageError,
    RevocationMessage,
    read_message,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from hypothesis import given
from hypothesis import strategies as st

SENT_AT = 1_790_000_000.5
GENERATION = 1_790_000_000_123
MESSAGE = RevocationMessage("0f3a9c", GENERATION, "event-1", "111122223333", "AIDAALICE", "alice")
FIELDS = json.loads(MESSAGE.text())


def changed(**fields: Any) -> str:
    return json.dumps({**FIELDS, **fields})


def test_what_the_dispatcher_writes_is_what_the_gateway_reads() -> None:
    assert read_message(MESSAGE.text(), SENT_AT) == MESSAGE
    of_device = MESSAGE._replace(device="laptop", user_name="Al.ice+x=@1,_-")
    assert read_message(of_device.text(), SENT_AT) == of_device


def test_r6_it_bars_the_user_by_id_until_a_roster_of_a_higher_generation() -> None:
    assert MESSAGE.barred == Bar("alice", "", "111122223333", "AIDAALICE", GENERATION, "event-1")
    assert not MESSAGE.barred.is_ended(GENERATION, [], [])
    assert MESSAGE.barred.is_ended(GENERATION + 1, [], [])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "isn't JSON"),
        ("[" * 100_000, "isn't JSON"),
        ("null", "isn't an object of format 1"),
        ("[]", "isn't an object of format 1"),
        (changed(format=2), "isn't an object of format 1"),
        (json.dumps({"format": 1}), "its fields are"),
        (changed(rule="x"), "its fields are"),
        (changed(registry=""), "registry is ''"),
        (changed(registry=None), "registry is None"),
        (changed(account_id="11112222333"), "account_id is"),
        (changed(account_id="\uff11" * 12), "account_id is"),
        (changed(user_id=""), "user_id is ''"),  # nobody by id: a name alone may be somebody else's by now
        (changed(user_id="AIDA\n"), "user_id is"),
        (changed(user_name="alice\n[Peer]"), "user_name is"),
        (changed(user_name=""), "user_name is"),
        (changed(device="../x"), "device is"),
        (changed(device=None), "device is None"),
        (changed(event_id="a b"), "event_id is"),
        (changed(generation=0), "generation is 0"),
        (changed(generation=-1), "generation is -1"),
        (changed(generation=True), "generation is True"),
        (changed(generation=1.5), "generation is 1.5"),
        (changed(generation=str(GENERATION)), "generation is '1790000000123'"),
        (changed(generation=10**400), "generation is 1000"),
    ],
)
def test_r16_anything_else_is_refused_with_what_is_wrong(body: str, why: str) -> None:
    with pytest.raises(RefusedMessageError) as refused:
        read_message(body, SENT_AT)
    assert why in str(refused.value)
    assert len(str(refused.value)) < 400


def test_r6_a_bar_that_no_roster_would_ever_end_is_refused() -> None:
    latest = int(SENT_AT * 1000) + 1_200_000
    assert read_message(changed(generation=latest), SENT_AT).generation == latest
    with pytest.raises(RefusedMessageError, match="20 minutes after it was sent"):
        read_message(changed(generation=latest + 1), SENT_AT)


@given(st.dictionaries(st.sampled_from([*FIELDS, "other"]), st.none() | st.booleans() | st.integers() | st.text()))
def test_r17_no_message_breaks_the_service(fields: dict[str, Any]) -> None:
    try:
        message = read_message(json.dumps({**FIELDS, **fields}), SENT_AT)
    except RefusedMessageError:
        return
    assert read_message(message.text(), SENT_AT) == message
