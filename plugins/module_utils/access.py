# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The access policy `vpn_access`: who may be a peer, and which networks a peer reaches. Pure: no AWS, no Ansible."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, Mapping, NamedTuple

from .addresses import Network, collapsed, parse_network
from .model import User

# The option of the modules that take an access policy.
ACCESS_OPTION: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "groups": {"type": "list", "elements": "str", "required": True},
        "networks": {"type": "list", "elements": "str", "required": True},
        "accounts": {"type": "list", "elements": "str"},
        "ports": {"type": "list", "elements": "str"},
    },
}

GrantingGroups = Dict[str, FrozenSet[str]]  # by account_id, the groups whose members may be peers


def granting_groups(grants: Iterable[tuple[Iterable[str], Iterable[str]]]) -> GrantingGroups:
    """Gather groups by account.

    :param grants: each (groups, account_ids).
    """
    gathered: GrantingGroups = {}
    for groups, accounts in grants:
        for account_id in accounts:
            gathered[account_id] = gathered.get(account_id, frozenset()).union(groups)
    return gathered


class Grant(NamedTuple):
    """An entry of an access policy: members of `groups` in `accounts` reach `networks`."""

    groups: frozenset[str]
    accounts: frozenset[str]
    networks: tuple[Network, ...]


class Access(NamedTuple):
    """An access policy."""

    grants: tuple[Grant, ...]

    @classmethod
    def parse(cls, entries: Iterable[Mapping[str, Any]], account_id: str = "", option: str = "access") -> Access:
        """Read a policy as operators write it.

        :param account_id: the gateway's account, for which an entry without `accounts` is. Only `networks` works
            without it.
        :param option: where the policy is from, for the message.
        :raises ValueError: a network isn't in CIDR form.
        """
        return cls(
            tuple(
                Grant(
                    groups=frozenset(entry.get("groups") or ()),
                    accounts=frozenset(entry.get("accounts") or [account_id]),
                    networks=tuple(parse_network(text, f"{text!r} in {option}") for text in entry["networks"]),
                )
                for entry in entries
            )
        )

    @property
    def granting(self) -> GrantingGroups:
        """The groups that grant access, by account."""
        return granting_groups((grant.groups, grant.accounts) for grant in self.grants)

    def networks(self) -> list[Network]:
        """List every network that some group may reach, as operators wrote them."""
        return [network for grant in self.grants for network in grant.networks]

    def granted_to(self, user: User) -> list[str]:
        """List the networks that a user may reach, as CIDR, merged.

        :raises ValueError: the user is in no group that grants access.
        """
        granting = self.granting.get(user.account_id, frozenset())
        if granting.isdisjoint(user.groups):
            raise ValueError(
                f"{user.user_name} ({user.user_id}, account {user.account_id}) is in no group that grants access; "
                f"found {', '.join(sorted(user.groups)) or 'no group'}, expected one of: "
                f"{', '.join(sorted(granting)) or 'none'}. If that was changed in IAM just now, run the playbook "
                "tracklib.vpn.reconcile first"
            )
        networks = [
            network
            for grant in self.grants
            if user.account_id in grant.accounts and not grant.groups.isdisjoint(user.groups)
            for network in grant.networks
        ]
        return [str(network) for network in collapsed(networks)]
