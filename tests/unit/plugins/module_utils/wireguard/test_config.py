# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From a roster to the text of wg0.conf and back."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.action.wireguard_interface import render, sort_out
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import config
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.wireguard_host import TEMPLATES, Person, key, variables

PRIVATE_KEY = base64.b64encode(bytes([8, *range(1, 31), 64])).decode()
ALICE, BOB = Person("alice", 1), Person("bob", 2)
HEAD = "[Interface]\nTable = off\nListenPort = 51820\n"

_examples = settings(deadline=None, max_examples=40)
# every character that IAM allows in a user's name
_names = st.text("ABCyz059_+=,.@-", min_size=1, max_size=64)
_numbers = st.integers(0, 20_000)
_times = st.integers(-(2**31), 2**40)
_people = st.lists(
    st.builds(
        Person,
        user_name=_names,
        number=_numbers,
        address=st.none(),
        device=st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True),
        expires_at=st.none() | _times,
        user_id=st.just(""),
    ),
    max_size=8,
    unique_by=lambda person: person.number,
)


def _roster(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"generation": 7, "made_at": 1_790_000_000, "peers": entries}


def _rendered(*entries: dict[str, Any]) -> str:
    peers, unfit = sort_out(list(entries))
    assert unfit == []
    text = render(TEMPLATES / "wg0.conf.j2", _roster(peers), variables("wg0"))
    return config.installable(text, 7, PRIVATE_KEY)


@_examples
@given(_people)
def test_any_roster_comes_back_from_the_text_it_renders_to(people: list[Person]) -> None:
    text = _rendered(*(person.entry() for person in people))
    parsed = config.parse(text)
    found = {peer.public_key: (peer.allowed_ips, config.label_of(peer.comment)) for peer in parsed.peers.values()}
    assert found == {key(one.number): (",".join(one.entry()["allowed_ips"]), one.label()) for one in people}
    assert parsed.interface == config.Interface(
        PRIVATE_KEY, 51820, ("10.44.0.1/16", "fd44:7472:6163:6b::1/64"), 1420, 0
    )
    assert config.generation(text) == 7
    assert config.split(text).text() == text


@_examples
@given(_people, _times)
def test_r2_who_has_expired_is_told_by_the_text_alone(people: list[Person], now: int) -> None:
    comments = config.split(_rendered(*(person.entry() for person in people))).comments()
    assert {key_: config.expires_at(comment) for key_, comment in comments.items()} == {
        key(one.number): one.expires_at for one in people
    }
    assert config.expired(comments, now) == {
        key(one.number): one.label() for one in people if one.expires_at is not None and one.expires_at <= now
    }


@_examples
@given(_names, st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True), _times)
def test_r15_no_name_gives_itself_another_expiry(name: str, device: str, later: int) -> None:
    forged = Person(name, 1, device=device, expires_at=5).entry()
    forged.update(user_id=f"A, expires {later})", account_id=f"1, expires {later})")
    ((_key, comment, _settings),) = config.split(_rendered(forged)).peers
    assert config.expires_at(comment) == 5


@pytest.mark.parametrize("now", [999, 999.9, 1000, 1000.1])
def test_r2_a_peer_is_one_until_the_second_in_which_it_expires(now: float) -> None:
    comments = {"x": "# alice/laptop (account 1, A, expires 1000)", "y": "# bob/laptop (account 1, B)", "z": ""}
    assert list(config.expired(comments, now)) == (["x"] if now >= 1000 else [])


@_examples
@given(_people, st.integers(0, 2**50))
def test_what_identifies_a_file_has_neither_its_generation_nor_its_private_key(
    people: list[Person], other: int
) -> None:
    text = _rendered(*(person.entry() for person in people))
    assert PRIVATE_KEY not in config.body(text)
    assert config.body(config.relabelled(text, other)) == config.body(text)
    assert config.generation(config.relabelled(text, other)) == other


@_examples
@given(_people, st.sets(_numbers))
def test_a_file_without_some_peers_is_that_of_the_smaller_roster(people: list[Person], gone: set[int]) -> None:
    whole = _rendered(*(person.entry() for person in people))
    smaller = _rendered(*(person.entry() for person in people if person.number not in gone))
    cut = config.split(whole).without({key(number) for number in gone}).text()
    assert config.parse(cut).peers == config.parse(smaller).peers


@_examples
@given(_people)
def test_what_the_device_already_has_is_read_the_same(people: list[Person]) -> None:
    text = _rendered(*(person.entry() for person in people))
    known = {key(person.number): ",".join(person.entry()["allowed_ips"]) for person in people}
    assert config.parse(text, known) == config.parse(text)


@_examples
@given(
    st.text(st.characters(exclude_characters="\r"))
    | st.lists(st.sampled_from(["[Peer]", " [ peer ]", "[Interface]", "\r\n", "\n", "#", "=", "a"])).map("".join)
)
def test_cutting_any_text_never_fails_and_is_stable(text: str) -> None:
    once = config.split(text).text()
    assert config.split(once) == config.split(text)
    assert config.split(once).text() == once


_code = st.sampled_from(
    [
        "\n[Peer]\nPublicKey = x\n",
        "\r[Interface]",
        "]",
        "{{ 7 * 191 }}",
        "{% raw %}",
        "{# gone #}",
        "\x0b\x0c\x85\u2028",
        " (account 999999999999, AIDAOTHER)",
        "/",
        "$(id)",
    ]
)


@_examples
@given(
    name=st.lists(_code | st.text(), min_size=1).map("".join).filter(bool),
    field=st.sampled_from(["user_name", "device", "account_id", "user_id"]),
)
def test_r15_no_name_adds_a_line_or_is_evaluated(name: str, field: str) -> None:
    plain = _rendered(ALICE.entry(), BOB.entry())
    odd = _rendered({**ALICE.entry(), field: name}, BOB.entry())
    comment = config.split(plain).peers[0][1]
    assert [line for line in odd.splitlines() if not line.startswith("#")] == [
        line for line in plain.splitlines() if not line.startswith("#")
    ]
    assert len(odd.splitlines()) == len(plain.splitlines())
    assert "1337" not in odd or "1337" in name
    written = config.label_of(config.split(odd).peers[0][1])
    assert written == config.label_of(comment)._replace(**{field: re.sub(r"[^A-Za-z0-9_+=,.@-]", "?", name)})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("public_key", key(1) + "\nAllowedIPs = 0.0.0.0/0"),
        ("public_key", key(1) + "\n"),
        ("public_key", "{{ peers }}"),
        ("allowed_ips", ["10.44.0.3/32\n[Peer]"]),
        ("allowed_ips", ["10.44.0.3/32\n"]),
        ("allowed_ips", ["10.44.0.3/32, 0.0.0.0/0"]),
        ("allowed_ips", ["10.44.0.3"]),
    ],
)
def test_r15_no_key_or_address_says_anything_else(field: str, value: object) -> None:
    peers, (unfit,) = sort_out([{**ALICE.entry(), field: value}, BOB.entry()])
    assert [peer["user_name"] for peer in peers] == ["bob"]
    assert re.match("(the public key|an allowed address) isn't", unfit["problem"])


def test_r15_jinja_in_a_variable_is_not_evaluated() -> None:
    with_code = {**variables("wg0"), "listen_port": "{{ 7 * 191 }}"}
    assert "ListenPort = {{ 7 * 191 }}\n" in render(TEMPLATES / "wg0.conf.j2", _roster([]), with_code)


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        (Person("bob", 1, address=9), "bob/laptop: has the public key of alice/laptop"),
        (Person("bob", 2, address=1), "bob/laptop: has the address 10.44.0.3/32 of alice/laptop"),
    ],
)
@pytest.mark.parametrize("on_device", [True, False])
def test_r9_a_key_or_address_of_two_peers_is_refused_with_both_names(
    second: Person, complaint: str, on_device: bool
) -> None:
    known = {key(one.number): ",".join(one.entry()["allowed_ips"]) for one in (second, ALICE)} if on_device else None
    with pytest.raises(config.ConfigError, match=re.escape(complaint)):
        config.parse(_rendered(ALICE.entry(), second.entry()), known)


def _sections(*people: Person) -> config.Sections:
    return config.split(_rendered(*(one.entry() for one in people)))


CLASHES = [
    (Person("bob", 1), "public key"),
    (Person("bob", 1, address=9), "public key"),
    (Person("bob", 2, address=1), "address 10.44.0.3/32"),
]


@pytest.mark.parametrize(("second", "what"), CLASHES)
@pytest.mark.parametrize("order", [1, -1])
def test_r9_r17_of_two_with_one_key_or_address_the_one_can_be_a_peer_that_was_filed_so(
    second: Person, what: str, order: int
) -> None:
    both = [ALICE, second][::order]
    found = config.sort_out(_sections(*both, Person("carol", 3)), filed=_sections(ALICE))
    assert [peer.name for peer in found.peers.values()] == ["alice/laptop", "carol/laptop"]
    assert found.sections.text().count("[Peer]") == 2
    (unfit,) = found.unfit
    assert str(unfit) == f"bob/laptop: has the {what} of alice/laptop"
    assert unfit.label == second.label()


@pytest.mark.parametrize(("second", "what"), CLASHES)
@pytest.mark.parametrize("filed", [None, [], [ALICE._replace(address=7)], [ALICE._replace(number=7)]])
def test_r9_r17_of_two_with_one_key_or_address_none_can_be_a_peer_if_none_was_filed_so(
    second: Person, what: str, filed: list[Person] | None
) -> None:
    before = None if filed is None else _sections(*filed)
    found = config.sort_out(_sections(ALICE, second, Person("carol", 3)), filed=before)
    assert [peer.name for peer in found.peers.values()] == ["carol/laptop"]
    assert {unfit.name for unfit in found.unfit} == {"alice/laptop", "bob/laptop"}
    assert all(f"has the {what} of" in unfit.problem for unfit in found.unfit)


def test_r9_peer_that_is_given_twice_alike_is_one_peer_if_it_was_filed() -> None:
    found = config.sort_out(_sections(ALICE, ALICE), filed=_sections(ALICE))
    assert [peer.name for peer in found.peers.values()] == ["alice/laptop"]
    assert found.sections.text().count("[Peer]") == 1


def test_r17_peer_that_cannot_be_read_is_left_out_with_its_key_if_that_can() -> None:
    entry = _rendered(ALICE.entry(), BOB.entry()).replace("10.44.0.3/32", "10.44.0.300/32")
    found = config.sort_out(config.split(entry))
    assert [peer.name for peer in found.peers.values()] == ["bob/laptop"]
    ((name, label, public_key, _problem),) = found.unfit
    assert (name, label, public_key) == ("alice/laptop", ALICE.label(), key(1))


def test_r9_one_address_in_two_spellings_is_refused() -> None:
    text = _rendered({**ALICE.entry(), "allowed_ips": ["::ffff:10.0.0.1/128"]})
    text += _rendered({**BOB.entry(), "allowed_ips": ["::ffff:a00:1/128"]}).partition("\n\n")[2]
    with pytest.raises(config.ConfigError, match=r"bob/laptop: has the address .* of alice/laptop"):
        config.parse(text, {key(1): "::ffff:10.0.0.1/128"})


@_examples
@given(_people.filter(lambda people: len(people) > 1), st.data())
def test_r9_any_doubled_peer_is_refused(people: list[Person], data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(people))
    with pytest.raises(config.ConfigError, match="has the public key of"):
        config.parse(_rendered(*(one.entry() for one in [*people, again._replace(user_name="mallory")])))


@pytest.mark.parametrize(
    ("interface", "complaint"),
    [
        (HEAD + "SaveConfig = true\n", "SaveConfig would overwrite"),
        ("[Interface]\nTable = off\n", "ListenPort is missing"),
        (HEAD.replace("51820", "0"), "ListenPort is 0"),
        (HEAD.replace("51820", "65536"), "ListenPort is '65536', expected a number up to 65535"),
        ("[Interface]\nListenPort = 51820\n", "expected `Table = off`"),
        (HEAD.replace("off", "auto"), "expected `Table = off`"),
        (HEAD + "DNS = 10.44.0.1\n", "dns: no setting that a managed gateway has"),
        (HEAD + "listenport = 1\n", "listenport is given twice"),
        (HEAD + "gibberish\n", "a line is neither"),
        (HEAD + "Address = 10.44.0.1/33\n", "10.44.0.1/33"),
        (HEAD + "[Interface]\n", "found 2 headings"),
        ("Table = off\n", "found 0 headings"),
        (HEAD + "MTU = 65536\n", "MTU is '65536', expected a number up to 65535"),
        (HEAD + "MTU = many\n", "MTU is 'many', expected a number up to 65535"),
        (HEAD + "FwMark = 0x100000000\n", "FwMark is '0x100000000', expected a number up to 4294967295"),
    ],
)
def test_an_interface_that_would_break_the_gateway_is_refused(interface: str, complaint: str) -> None:
    with pytest.raises(config.ConfigError, match=re.escape(complaint)):
        config.parse(config.installable(interface, 1, PRIVATE_KEY))


def test_r10_a_damaged_key_is_not_repeated() -> None:
    damaged = PRIVATE_KEY[:-2]
    with pytest.raises(config.ConfigError) as error:
        config.parse(config.installable(HEAD, 1, damaged) + f"[Peer]\nPublicKey = {damaged}\n")
    assert damaged not in str(error.value)
    assert "PrivateKey isn't" in str(error.value)
    assert "peer number 1: PublicKey isn't" in str(error.value)


def test_every_wrong_peer_is_named_up_to_five() -> None:
    peers = "".join(f"# u{n}/d (account 1, A)\n[Peer]\nPublicKey = no\n" for n in range(7))
    with pytest.raises(config.ConfigError, match=r"u0/d: .*u4/d: .*; and 2 more\Z"):
        config.parse(config.installable(HEAD, 1, PRIVATE_KEY) + peers)


def test_settings_are_read_as_wg_reads_them() -> None:
    text = config.installable(HEAD + "FwMark = 0x10\nMTU=1400\nPostUp = a\nPostUp = b\n", 1, PRIVATE_KEY)
    text += f"[ peer ] # his\r\npublickey={key(3)} # key\r\nAllowedIPs = 10.44.0.9/24\r\nAllowedIPs = fd44::9\r\n"
    text += "PersistentKeepalive = 25\r\n"
    parsed = config.parse(text)
    assert (parsed.interface.fwmark, parsed.interface.mtu) == (16, 1400)
    assert parsed.peers == {key(3): config.Peer(key(3), "10.44.0.0/24,fd44::9/128", keepalive=25)}


def _with_settings(settings: str) -> str:
    return config.installable(HEAD, 1, PRIVATE_KEY) + f"[Peer]\n{settings}"


def test_highest_numbers_of_an_interface_are_accepted() -> None:
    head = HEAD.replace("51820", "65535") + "MTU = 65535\nFwMark = 0xffffffff\n"
    interface = config.parse(config.installable(head, 1, PRIVATE_KEY)).interface
    assert (interface.listen_port, interface.mtu, interface.fwmark) == (65535, 65535, 2**32 - 1)


@pytest.mark.parametrize("keepalive", [0, 65535])
def test_keepalive_may_be_what_wg_takes(keepalive: int) -> None:
    parsed = config.parse(_with_settings(f"PublicKey = {key(3)}\nPersistentKeepalive = {keepalive}\n"))
    assert parsed.peers[key(3)].keepalive == keepalive


@pytest.mark.parametrize("keepalive", ["65536", "-1", "soon"])
def test_keepalive_that_wg_does_not_take_is_refused(keepalive: str) -> None:
    with pytest.raises(config.ConfigError, match=f"PersistentKeepalive is '{keepalive}'"):
        config.parse(_with_settings(f"PublicKey = {key(3)}\nPersistentKeepalive = {keepalive}\n"))


@pytest.mark.parametrize(
    ("preshared_key", "kept"), [(key(4), key(4)), ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "")]
)
def test_preshared_key_of_zeros_is_none(preshared_key: str, kept: str) -> None:
    parsed = config.parse(_with_settings(f"PublicKey = {key(3)}\nPresharedKey = {preshared_key}\n"))
    assert parsed.peers[key(3)].preshared_key == kept


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(base64.b64encode(bytes(31)).decode(), id="31 bytes"),
        pytest.param(base64.b64encode(bytes(33)).decode(), id="33 bytes"),
        pytest.param("A" * 42 + "B=", id="bits after the last byte"),
        pytest.param("A" * 20 + "-" + "A" * 23 + "=", id="a character that isn't base64's"),
        pytest.param("\u00e9" * 43 + "=", id="not ASCII"),
    ],
)
def test_key_that_is_not_what_wg_prints_is_refused(wrong: str) -> None:
    with pytest.raises(config.ConfigError, match="peer number 1: PublicKey isn't 32 bytes of base64"):
        config.parse(_with_settings(f"PublicKey = {wrong}\n"))


@pytest.mark.parametrize(
    ("made", "reported"),
    [
        (bytes([0xFF, *[0] * 30, 0xFF]), bytes([0xF8, *[0] * 30, 0x7F])),
        (bytes([0, *[0xFF] * 30, 0]), bytes([0, *[0xFF] * 30, 0x40])),
    ],
)
def test_private_key_is_read_as_a_device_reports_it(made: bytes, reported: bytes) -> None:
    interface = config.parse(config.installable(HEAD, 1, base64.b64encode(made).decode())).interface
    assert base64.b64decode(interface.private_key) == reported


@pytest.mark.parametrize(("wrong", "end"), [(5, r"u4/d: [^;]*\Z"), (6, r"u4/d: [^;]*; and 1 more\Z")])
def test_rest_of_the_wrong_peers_is_counted_only_if_there_is_one(wrong: int, end: str) -> None:
    peers = "".join(f"# u{n}/d (account 1, A)\n[Peer]\nPublicKey = no\n" for n in range(wrong))
    with pytest.raises(config.ConfigError, match=end):
        config.parse(config.installable(HEAD, 1, PRIVATE_KEY) + peers)


def test_addresses_that_the_device_has_are_not_checked_again() -> None:
    text = _with_settings(f"PublicKey = {key(3)}\nAllowedIPs = 10.44.0.9/24\n")
    assert config.parse(text, {key(3): "10.44.0.9/24"}).peers[key(3)].allowed_ips == "10.44.0.9/24"


def test_key_of_a_peer_is_found_however_its_setting_is_written() -> None:
    text = f"[Interface]\n# his\n[Peer]\nAllowedIPs = 10.44.0.9/32\n publickey={key(3)} # key\n"
    assert config.split(text).comments() == {key(3): "# his"}


def test_generation_in_another_comment_is_not_that_of_the_file() -> None:
    text = config.installable(HEAD + "# (generation 5)\n", 1, PRIVATE_KEY)
    assert "# (generation 5)\n" in config.relabelled(text, 7)


def test_only_one_private_key_is_put_into_a_file() -> None:
    assert config.installable(HEAD + HEAD, 1, PRIVATE_KEY).count(PRIVATE_KEY) == 1


def test_only_the_private_key_of_the_interface_is_no_part_of_what_identifies_a_file() -> None:
    assert config.body(f"{HEAD}PrivateKey = a\nPrivateKey = b\n") == f"{HEAD}PrivateKey = b\n"
