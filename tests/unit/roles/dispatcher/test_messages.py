# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the dispatcher takes for a message, and what for poison."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dispatcher.messages import (
    SIGNS,
    EndingsDue,
    HostChanged,
    IamChanged,
    Message,
    Poison,
    RegistryChanged,
    SignOfLeaving,
    SweepDue,
    UserDeleted,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.support.iam_events import CALLS, envelope, record

ACCOUNT, OTHER, STRANGER = "123456789012", "444455556666", "999999999999"
EVENT_ID = "7e8df385-9e9c-4111-a774-47e01a228656"


def read(message: Any) -> Message:
    return parse(json.dumps(message), {ACCOUNT, OTHER}, ACCOUNT)


def host_event(**detail: Any) -> dict[str, Any]:
    found = {"instance-id": "i-0123456789abcdef0", "state": "running", **detail}
    return {
        "source": "aws.ec2",
        "detail-type": "EC2 Instance State-change Notification",
        "account": ACCOUNT,
        "detail": found,
    }


def test_a_deletion_says_who_and_when() -> None:
    event = envelope(record("DeleteUser", eventID=EVENT_ID, eventTime="2026-11-24T20:00:01Z"), OTHER)
    by = "arn:aws:sts::123456789012:assumed-role/Admin/operator"
    assert read(event) == UserDeleted(OTHER, EVENT_ID, "alice", 1795550401.0, by)


@pytest.mark.parametrize(
    "identity", [None, "root", [], {}, {"arn": None}, {"arn": {"a": 1}}, {"arn": "{{ x }}"}, {"arn": "arn:a\nb"}]
)
def test_r17_deletion_by_nobody_knows_whom_is_a_deletion_all_the_same(identity: Any) -> None:
    event = envelope(record("DeleteUser", eventID=EVENT_ID, userIdentity=identity), ACCOUNT)
    deleted = read(event)
    assert isinstance(deleted, UserDeleted)
    assert deleted.by is None


@pytest.mark.parametrize("name", SIGNS)
def test_an_early_sign_says_of_whom(name: str) -> None:
    message = read(envelope(record(name, eventID=EVENT_ID, eventTime="2026-11-24T20:00:01Z")))
    assert message == SignOfLeaving(ACCOUNT, EVENT_ID, name, "alice", 1795550401.0)


def test_a_key_made_active_or_taken_from_oneself_without_a_name_is_no_sign() -> None:
    active = {"status": "Active", "userName": "alice", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}
    assert isinstance(read(envelope(record("UpdateAccessKey", requestParameters=active))), IamChanged)
    unnamed = {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}
    assert isinstance(read(envelope(record("DeleteAccessKey", requestParameters=unnamed))), IamChanged)
    assert isinstance(read(envelope(record("DeleteLoginProfile", requestParameters=None))), IamChanged)


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"DeleteUser", *SIGNS}))
def test_every_other_listed_event_is_a_reason_to_run(name: str) -> None:
    message = read(envelope(record(name, eventID=EVENT_ID)))
    assert isinstance(message, IamChanged)
    assert (message.account_id, message.event_name) == (ACCOUNT, name)


def test_the_schedule_self_service_and_hosts_have_messages_of_their_own() -> None:
    assert read({"kind": "sweep"}) == SweepDue()
    assert read({"kind": "endings"}) == EndingsDue()
    assert read({"kind": "registry_changed"}) == RegistryChanged()
    assert read(host_event()) == HostChanged("i-0123456789abcdef0", "running")


def test_an_event_is_never_too_old() -> None:
    event = envelope(record("DeleteUser", eventTime="2021-01-01T00:00:00Z"))
    assert isinstance(read(event), UserDeleted)


def test_the_account_is_the_envelopes_and_not_what_the_record_claims() -> None:
    claimed = record("DeleteUser", STRANGER, userIdentity={"accountId": STRANGER}, recipientAccountId=STRANGER)
    message = read(envelope(claimed, ACCOUNT))
    assert isinstance(message, UserDeleted)
    assert message.account_id == ACCOUNT


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (envelope(record("DeleteUser"), STRANGER), "isn't one of the identity accounts"),
        (envelope(record("DeleteUser"), account=None), "account"),
        (envelope(record("DeleteUser", errorCode="AccessDenied")), "errorCode"),
        (envelope(record("GetUser")), "no event that the rules forward"),
        (envelope(record("DeleteUser", eventSource="sts.amazonaws.com")), "eventSource"),
        (envelope(record("DeleteUser", eventTime="yesterday")), "eventTime"),
        (envelope(record("DeleteUser", eventTime="2026-11-24T20:00:01")), "eventTime"),
        (envelope(record("DeleteUser", eventID="a/b")), "eventID"),
        (envelope(record("DeleteUser", eventID=7)), "eventID"),
        (envelope(record("DeleteUser", requestParameters=None)), "message"),
        (envelope(record("DeleteUser", requestParameters={"userName": ["alice"]})), "userName"),
        (envelope(record("DeleteUser", requestParameters={"userName": "alice\nPublicKey = x"})), "userName"),
        (envelope(record("DeleteUser", requestParameters={"userName": "{{ lookup('pipe', 'id') }}"})), "userName"),
        (envelope(record("DeleteUser", requestParameters={"userName": "a" * 65})), "userName"),
        (envelope(record("DeleteLoginProfile", requestParameters={"userName": "a/b"})), "userName"),
        ({**envelope({}), "detail": "{}"}, "detail"),
        ({**envelope(record("DeleteUser")), "detail-type": "AWS Service Event via CloudTrail"}, "detail-type"),
        ({**host_event(), "account": STRANGER}, "isn't the gateways' account"),
        (host_event(state="pending"), "no state that the rule forwards"),
        (host_event(**{"instance-id": "i-0;reboot"}), "instance-id"),
        ({"kind": "sweep", "then": "rm -rf /"}, "then"),
        ({"kind": "reboot"}, "kind"),
        ({}, "kind"),
        ([], "message"),
        (None, "message"),
        ("sweep", "message"),
    ],
)
def test_anything_else_is_poison_and_says_where(event: Any, why: str) -> None:
    with pytest.raises(Poison, match=why) as caught:
        read(event)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("body", ["", "{", "sweep", '{"kind": NaN}', "[" * 100_000, '{"a":' * 100_000, "\x00"])
def test_what_is_no_json_is_poison(body: str) -> None:
    with pytest.raises(Poison):
        parse(body, {ACCOUNT}, ACCOUNT)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.sampled_from([envelope(record("DeleteUser")), host_event()]), st.data())
def test_whatever_stands_in_a_field_it_is_a_message_or_poison(event: dict[str, Any], data: st.DataObject) -> None:
    event = json.loads(json.dumps(event))
    part = data.draw(st.sampled_from([event, event["detail"]]))
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(_JSON)
    try:
        message = read(event)
    except Poison:
        return
    assert isinstance(message, (UserDeleted, IamChanged, SignOfLeaving, HostChanged))


@given(st.text())
def test_a_name_that_iam_could_not_have_never_gets_through(name: str) -> None:
    try:
        message = read(envelope(record("DeleteUser", requestParameters={"userName": name})))
    except Poison:
        return
    assert isinstance(message, UserDeleted)
    assert set(message.user_name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-")
    assert 1 <= len(message.user_name) <= 64
