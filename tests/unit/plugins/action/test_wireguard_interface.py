# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of wireguard_interface."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible_collections.tracklib.vpn.plugins.action.wireguard_interface import ActionModule
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import PeerLabel

from tests.support.wireguard_host import REGISTRY, TEMPLATES, Person, key, variables

NEEDED = {"template": "wg0.conf.j2", "firewall_template": "nftables.j2", "variables": variables("wg0")}
ALICE, BOB = Person("alice", 1, expires_at=1_792_592_000), Person("bob", 2)


class Action(ActionModule):
    """Keeps what would be sent to the gateway instead of sending it."""

    def __init__(self, **options: Any) -> None:
        places = [str(TEMPLATES.parent)]
        self._task = SimpleNamespace(args=options, async_val=0, check_mode=False, get_search_path=lambda: places)
        self._connection: Any = MagicMock()
        self._loader = DataLoader()
        self.sent: dict[str, Any] = {}
        self.module_options: dict[str, Any] = {}
        self.commands: list[str] = []
        self.result: dict[str, Any] = {"config_file_removed": True}

    def _transfer(self, data: bytes) -> str:
        self.sent = json.loads(data)
        return "/run/tracklib-vpn/apply.x"

    def _execute_module(self, module_args: dict[str, Any], **_others: Any) -> dict[str, Any]:
        self.module_options = module_args
        return dict(self.result)

    def _low_level_execute_command(self, command: str, **_options: Any) -> dict[str, Any]:
        self.commands.append(command)
        return {}


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "roster.json"
    document = {
        "format": 2,
        "generation": 7,
        "made_at": 1_790_000_000,
        "registry": REGISTRY._asdict(),
        "peers": [ALICE.entry()],
        "revoked": [{**BOB.entry("tombstoned"), "of_user": True}],
        "excluded": [],
        "removed": [],
        "awaited": [key(1), "no key\n", None],
        "acknowledge": ["0123456789abcdef"],
    }
    path.write_text(json.dumps(document))
    return path


def _action(roster: Path, **options: Any) -> Action:
    return Action(roster=str(roster), **{**NEEDED, **options})


def _rewrite(roster: Path, **changes: Any) -> None:
    roster.write_text(json.dumps({**json.loads(roster.read_text()), **changes}))


def test_what_is_brought_is_the_rendered_text_and_the_names_of_who_is_out(roster: Path) -> None:
    action = _action(roster, name="wg7", lock_timeout=3)
    assert action.run() == {}
    assert f"PublicKey = {key(1)}\n" in action.sent["config"]
    assert "# alice/laptop (account 111122223333, AIDAALICE, expires 1792592000)\n" in action.sent["config"]
    assert "table inet tracklib_vpn_wg0" in action.sent["firewall"]
    assert action.sent["registry"] == REGISTRY._asdict()
    assert action.sent["revoked"] == [
        {**BOB.label()._asdict(), "public_key": key(2), "reason": "tombstoned", "explained": True, "of_user": True}
    ]
    assert action.sent["awaited"] == [key(1)]
    assert action.sent["acknowledge"] == ["0123456789abcdef"]
    assert action.module_options == {"name": "wg7", "lock_timeout": 3, "config_file": "/run/tracklib-vpn/apply.x"}


@pytest.mark.parametrize(
    "template",
    [
        "{{ nothing }}",
        "{% if %}",
        "{{ 1 / 0 }}",
        "{{ range(10 ** 9) | list }}",
        "{{ peers.0.user_name.__class__.__mro__ }}",
        "{{ {}['x'] + 1 }}",
        "{% include 'nowhere' %}",
        None,
    ],
)
@pytest.mark.parametrize("option", ["template", "firewall_template"])
def test_r4_revocations_are_brought_whatever_a_template_does(
    roster: Path, tmp_path: Path, template: str | None, option: str
) -> None:
    broken = tmp_path / "broken.j2"
    if template is not None:
        broken.write_text(template)
    action = _action(roster, **{option: str(broken)})
    action.run()
    bad, good = ("config", "firewall") if option == "template" else ("firewall", "config")
    assert [entry["public_key"] for entry in action.sent["revoked"]] == [key(2)]
    assert action.sent[f"{bad}_error"].startswith(f"{option} {broken}: ")
    assert bad not in action.sent
    assert action.sent[good]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"public_key": "short"}, "the public key isn't 32 bytes of base64"),
        ({"public_key": None}, "the public key isn't 32 bytes of base64"),
        ({"allowed_ips": ["all"]}, "an allowed address isn't in CIDR form"),
        ({"allowed_ips": 7}, "'int' object is not iterable"),
        ({"held": ...}, "no 'held'"),
        ({"expires_at": "soon"}, "invalid literal for int() with base 10: 'soon'"),
        ({"expires_at": float("inf")}, "cannot convert float infinity to integer"),
        ({"expires_at": ...}, "no 'expires_at'"),
        ({"user_id": ""}, "it isn't said whose it is"),
        ({"user_name": None}, "it isn't said whose it is"),
    ],
)
def test_r17_peer_that_cannot_be_written_costs_itself_alone(roster: Path, change: dict[str, Any], problem: str) -> None:
    entry = {name: value for name, value in {**ALICE.entry(), **change}.items() if value is not ...}
    _rewrite(roster, peers=[entry, Person("carol", 3).entry()])
    action = _action(roster)
    action.run()
    assert "config_error" not in action.sent
    assert "# carol/laptop " in action.sent["config"]
    assert "alice" not in action.sent["config"]
    (unfit,) = action.sent["unfit"]
    names = ALICE.label()._asdict() | {name: "" for name in change if name in PeerLabel._fields}
    public_key = "" if "public_key" in change else key(1)
    assert unfit == {**names, "public_key": public_key, "problem": problem}
    assert [entry["public_key"] for entry in action.sent["revoked"]] == [key(2)]


@pytest.mark.parametrize("entry", [None, 7, "peer", [], {}])
def test_r17_peer_that_is_none_at_all_costs_nobody_anything(roster: Path, entry: object) -> None:
    _rewrite(roster, peers=[entry, ALICE.entry()], revoked=[entry, BOB.entry("blocked")])
    action = _action(roster)
    action.run()
    assert "# alice/laptop " in action.sent["config"]
    assert [item["problem"] for item in action.sent["unfit"]] == ["it isn't said whose it is"]
    assert [entry["public_key"] for entry in action.sent["revoked"]] == [key(2)]


@pytest.mark.parametrize("missing", ["reason", "user_name", "user_id", "device", "account_id"])
def test_r4_r17_revocation_that_does_not_say_all_is_brought_all_the_same(roster: Path, missing: str) -> None:
    entry = {name: value for name, value in BOB.entry("blocked").items() if name != missing}
    _rewrite(roster, revoked=[entry])
    action = _action(roster)
    action.run()
    (revoked,) = action.sent["revoked"]
    assert (revoked["public_key"], revoked[missing]) == (key(2), "")


def test_r15_a_revoked_key_that_no_device_can_have_is_left_out(roster: Path) -> None:
    _rewrite(roster, revoked=[{**BOB.entry("x\ny"), "public_key": "remove\n"}, BOB.entry("x\ny")])
    action = _action(roster)
    action.run()
    assert [(entry["public_key"], entry["reason"]) for entry in action.sent["revoked"]] == [(key(2), "x?y")]


def test_roster_of_another_format_is_refused(roster: Path) -> None:
    _rewrite(roster, format=1)
    with pytest.raises(AnsibleActionFail, match="is a roster of format 1, expected 2; make a new one with the module"):
        _action(roster).run()


@pytest.mark.parametrize("registry", [None, {}, 7, {"identity": "0f3a9c"}, REGISTRY._replace(table_id="")._asdict()])
def test_r16_roster_that_says_no_registry_is_refused(roster: Path, registry: object) -> None:
    _rewrite(roster, registry=registry)
    with pytest.raises(AnsibleActionFail, match="doesn't say which registry it was made from; make a new one"):
        _action(roster).run()


def test_r5_only_removals_that_the_roster_explains_are_brought_as_explained(roster: Path) -> None:
    entries = [{**BOB.entry("not_in_group"), "explained": explained} for explained in (False, True, "yes")]
    _rewrite(roster, excluded=entries, removed=[ALICE.entry("removed")])
    action = _action(roster)
    action.run()
    assert [entry["explained"] for entry in action.sent["excluded"]] == [False, True, False]
    assert [(entry["reason"], entry["explained"]) for entry in action.sent["removed"]] == [("removed", True)]


@pytest.mark.parametrize("text", ["", "[]", "{}", "\udcff"])
def test_what_is_no_roster_is_refused(roster: Path, text: str) -> None:
    roster.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(AnsibleActionFail, match="is no roster"):
        _action(roster).run()


def test_missing_roster_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"there is no roster .*; run the module tracklib\.vpn\.roster first"):
        _action(tmp_path / "none").run()


def test_missing_options_are_named() -> None:
    with pytest.raises(AnsibleActionFail, match="missing: roster, firewall_template; or give revoke"):
        Action(template="wg0.conf.j2").run()


def test_revoking_needs_neither_roster_nor_template() -> None:
    action = Action(revoke={"user_name": "alice"})
    action.run()
    assert action.module_options == {"revoke": {"user_name": "alice"}}
    assert action.sent == {}


def test_r10_the_file_is_removed_when_the_module_did_not_run(roster: Path) -> None:
    action = _action(roster)
    action.result = {"failed": True, "msg": "MODULE FAILURE"}
    action.run()
    assert action.commands == ["rm -f /run/tracklib-vpn/apply.x"]


class WithoutInput(Action):
    """On a connection that gives commands no input, as amazon.aws.aws_ssm's."""

    _transfer = ActionModule._transfer

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._connection = SimpleNamespace(has_pipelining=False, put_file=self._put_file)
        self._connection.__dict__["_shell"] = SimpleNamespace(tmpdir=None)

    def _put_file(self, source: str, path: str) -> None:
        self.sent = {path: json.loads(Path(source).read_text())}

    def _low_level_execute_command(self, command: str, **options: Any) -> dict[str, Any]:
        self.commands.append(f"{command}, as {'root' if options.get('sudoable', True) else 'who logs in'}")
        return {"rc": 0, "stdout": "motd\n/tmp/tmp.x\n", "stderr": ""}


def test_connection_without_input_carries_a_file_of_the_user_who_logs_in(roster: Path) -> None:
    action = WithoutInput(roster=str(roster), **NEEDED)
    action.result = {"failed": True}
    action.run()
    assert action.module_options["config_file"] == "/tmp/tmp.x"
    assert action.sent["/tmp/tmp.x"]["generation"] == 7
    assert action.commands == ["mktemp, as who logs in", "rm -f /tmp/tmp.x, as root"]
