# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An interface that is configured no more is taken down, and what it knew isn't forgotten."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import Revocation

from tests.support.wireguard_host import Host, Person, allowed, held, key

ALICE, BOB, CAROL, DAVE = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1))


@pytest.fixture
def renamed(host: Host) -> str:
    """The name that the interface of a gateway had with alice, bob and carol, before it got another one."""
    assert host.apply(host.order(5, [ALICE, BOB, CAROL])).problems == []
    return host.rename_interface()


def _links(host: Host) -> set[str]:
    return {line.split(":")[1].strip() for line in host.sh("ip", "-o", "link").splitlines()} - {"lo"}


def _is_up(host: Host, name: str) -> bool:
    return name in _links(host) and f"tracklib_vpn_{name} " in host.rules


def test_r8_former_interface_is_taken_down_and_named_before_the_new_one_takes_its_port(
    host: Host, renamed: str
) -> None:
    order = host.order(6, [BOB, CAROL, DAVE], excluded={key(1): Revocation(ALICE.label(), "not_in_group")})
    outcome = host.apply(order)
    assert outcome.problems == []
    assert outcome.repaired == [f"{renamed}, an interface that is configured no more, taken down"]
    assert outcome.removed == ["alice/laptop"]
    assert (_links(host), host.peers) == ({host.name}, allowed(BOB, CAROL, DAVE))
    assert f"tracklib_vpn_{renamed} " not in host.rules
    units = [f"wg-quick@{renamed}.service", f"tracklib-vpn-expire@{renamed}.timer"]
    assert ["systemctl", "disable", "--now", *units] in host.run.changes
    assert {path.name for path in host.site.config_dir.iterdir()} == {
        *(f"{host.name}.conf", f"{host.name}.nft", f"{host.name}.state-copy", f"{renamed}.key"),
        *(f"{renamed}.{kind}.replaced-{int(host.now)}" for kind in ("conf", "nft", "state-copy")),
    }
    again = host.apply(order)
    assert (again.changed, again.problems, host.run.changes) == (False, [], [])


def test_r8_former_interface_whose_state_was_lost_is_taken_down_too_and_what_is_revoked_goes_there(
    host: Host, renamed: str
) -> None:
    host.site._replace(name=renamed).state.unlink()
    host.run.disabled.add(f"wg-quick@{host.name}.service")
    outcome = host.apply(host.order(6, [BOB, DAVE], revoked=[CAROL]))
    assert outcome.removed == ["carol/laptop"]
    assert _is_up(host, renamed)
    host.run.disabled.clear()
    gone = {key(1): Revocation(ALICE.label(), "not_in_group")}
    outcome = host.apply(host.order(7, [BOB, DAVE], revoked=[CAROL], excluded=gone))
    assert outcome.problems == []
    assert f"{renamed}, an interface that is configured no more, taken down" in outcome.repaired
    assert (_links(host), host.peers) == ({host.name}, allowed(BOB, DAVE))
    again = host.apply(host.order(8, [BOB, DAVE]))
    assert (again.changed, again.problems) == (False, [])


def test_r17_what_is_no_configuration_of_ours_costs_no_run(host: Host) -> None:
    (host.site.config_dir / "directory.conf").mkdir(parents=True)
    (host.site.config_dir / "broken.conf").symlink_to("nowhere")
    (host.site.config_dir / "binary.conf").write_bytes(bytes(range(256)))
    (host.site.config_dir / "client0.conf").write_text("# Managed by tracklib.vpn; do not edit\n[Interface]\n")
    assert host.apply(host.order(5, [ALICE, BOB])).problems == []
    assert host.revoke("alice").problems == []
    assert host.peers == allowed(BOB)


def test_r16_run_of_an_older_inventory_leaves_the_interface_in_force_and_revokes_there(
    host: Host, renamed: str
) -> None:
    host.run.disabled.add(f"wg-quick@{host.name}.service")
    order = host.order(6, [BOB, DAVE], revoked=[CAROL], excluded={key(1): Revocation(ALICE.label(), "not_in_group")})
    outcome = host.apply(order)
    (problem,) = outcome.problems
    assert problem.startswith(f"{renamed} serves this gateway, and {host.name} isn't set up to take its place")
    assert outcome.removed == ["carol/laptop"]
    assert _is_up(host, renamed)
    assert host.name not in _links(host)


@pytest.mark.usefixtures("renamed")
def test_r4_receipts_of_a_former_interface_are_kept(host: Host) -> None:
    order = host.order(6, [BOB], revoked=[CAROL], excluded={key(1): Revocation(ALICE.label(), "not_in_group")})
    outcome = host.apply(order)
    assert {(each.name, each.reason, each.removed_at) for each in outcome.removals} == {
        ("alice/laptop", "not_in_group", int(host.now)),
        ("carol/laptop", "tombstoned", int(host.now)),
    }
    assert sorted(outcome.removed) == ["alice/laptop", "carol/laptop"]
    ids = [each.id for each in outcome.removals]
    assert host.apply(host.order(7, [BOB], acknowledge=ids)).removals == []


def test_check_mode_names_the_former_interface_and_leaves_it(host: Host, renamed: str) -> None:
    before = host.files()
    planned = host.apply(host.order(6, [BOB, CAROL]), check_mode=True)
    assert f"{renamed}, an interface that is configured no more, taken down" in planned.repaired
    assert planned.removed == ["alice/laptop"]
    assert (planned.problems, host.run.changes, host.files()) == ([], [], before)
    assert _is_up(host, renamed)


def test_r4_revocations_reach_a_former_interface_although_the_rest_is_refused(host: Host, renamed: str) -> None:
    outcome = host.apply(host.order(6, [BOB], revoked=[ALICE], config=None, config_error="no template"))
    assert (outcome.removed, outcome.problems) == (["alice/laptop"], ["no template"])
    assert _is_up(host, renamed)
    assert key(ALICE.number) not in host.sh("wg", "show", renamed, "peers")
    assert key(BOB.number) in host.sh("wg", "show", renamed, "peers")


def test_r6_older_roster_is_stale_under_another_name_too(host: Host, renamed: str) -> None:
    outcome = host.apply(host.order(4, [ALICE, DAVE]))
    assert (outcome.stale, outcome.generation, outcome.changed, outcome.problems) == (True, 5, False, [])
    assert _is_up(host, renamed)


def test_r6_bar_holds_under_another_name_too(host: Host) -> None:
    host.apply(host.order(5, [ALICE, BOB]))
    host.revoke("alice")
    renamed = host.rename_interface()
    outcome = host.apply(host.order(6, [ALICE, BOB]))
    assert "alice/laptop: in the roster of generation 6, but barred on this gateway" in outcome.problems[0]
    assert host.peers == allowed(BOB)
    assert renamed not in _links(host)


def test_r16_roster_of_another_registry_takes_nothing_down(host: Host, renamed: str) -> None:
    order = host.order(6, [DAVE])
    outcome = host.apply(
        host.order(6, [DAVE], registry=order.registry._replace(identity="another", table_id="another"))
    )
    assert "this roster is from another registry" in outcome.problems[0]
    assert _is_up(host, renamed)


def test_r5_roster_without_peers_takes_no_interface_with_peers_down(host: Host, renamed: str) -> None:
    outcome = host.apply(host.order(6, []))
    assert f"would take the last of 3 peers off {renamed}" in outcome.problems[0]
    assert _is_up(host, renamed)


def test_interface_that_is_configured_beside_this_one_is_left_alone(host: Host, renamed: str) -> None:
    config = (host.order(6, [DAVE]).config or "").replace("51820", "51821").replace("10.44.", "10.45.")
    config = config.replace("fd44:", "fd45:")
    outcome = host.apply(host.order(6, [DAVE], config=config, other_interfaces=[renamed]))
    assert (outcome.repaired, outcome.removed, outcome.problems) == ([], [], [])
    assert _links(host) == {host.name, renamed}
    assert _is_up(host, renamed)


def test_run_at_work_on_the_former_interface_is_not_disturbed(host: Host, renamed: str) -> None:
    with held(host.site._replace(name=renamed).apply_lock):
        outcome = host.apply(host.order(6, [BOB, CAROL]))
    assert f"{renamed}.lock was held by process" in outcome.problems[0]
    assert _is_up(host, renamed)


def test_former_interface_that_was_stopped_already_is_forgotten(host: Host, renamed: str) -> None:
    host.sh("ip", "link", "del", renamed)
    outcome = host.apply(host.order(6, [ALICE, BOB, CAROL]))
    assert outcome.problems == []
    assert outcome.repaired == [f"{renamed}, an interface that is configured no more, taken down"]
    assert host.apply(host.order(6, [ALICE, BOB, CAROL])).changed is False
