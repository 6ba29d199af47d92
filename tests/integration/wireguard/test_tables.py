# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Each interface has a firewall table of its own."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.action.wireguard_interface import render

from tests.support.wireguard_host import TEMPLATES, Host, Person, variables

ALICE = Person("alice", 1)


def _rules(interface: str) -> str:
    roster = {"generation": 1, "made_at": 1, "peers": []}
    return render(TEMPLATES / "nftables.j2", roster, variables(interface))


def _tables(host: Host) -> set[str]:
    return set(host.sh("nft", "list", "tables").split()) - {"table", "inet"}


@pytest.mark.parametrize("interface", ["wg1", "wg-1.5_b", "0", "Wg"])
def test_two_interfaces_have_their_rules_side_by_side(host: Host, interface: str) -> None:
    host.sh("nft", "-f", "-", stdin=_rules(interface))
    before = host.sh("nft", "list", "table", "inet", f"tracklib_vpn_{interface}")
    host.apply(host.order(1, [ALICE]))
    host.apply(host.order(2, [ALICE], networks=["10.30.0.0/16"]))
    assert _tables(host) == {f"tracklib_vpn_{host.name}", f"tracklib_vpn_{interface}"}
    assert host.sh("nft", "list", "table", "inet", f"tracklib_vpn_{interface}") == before


def test_r13_table_that_all_interfaces_shared_goes_as_the_own_one_comes(host: Host) -> None:
    host.sh("nft", "-f", "-", stdin=_rules(host.name).replace(f"tracklib_vpn_{host.name}", "tracklib_vpn"))
    host.apply(host.order(1, [ALICE]))
    (loaded,) = (text for call, text in zip(host.run.calls, host.run.inputs, strict=True) if call == ["nft", "-f", "-"])
    assert loaded.startswith("delete table inet tracklib_vpn\n")
    assert f"table inet tracklib_vpn_{host.name} {{" in loaded
    assert _tables(host) == {f"tracklib_vpn_{host.name}"}


def test_r13_shared_table_with_the_rules_of_another_interface_stays(host: Host) -> None:
    host.sh("nft", "-f", "-", stdin=_rules("wg9").replace("tracklib_vpn_wg9", "tracklib_vpn"))
    assert host.apply(host.order(1, [ALICE])).notices == []
    assert _tables(host) == {f"tracklib_vpn_{host.name}", "tracklib_vpn"}
