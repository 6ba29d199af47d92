# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The options of the modules that decide who is a peer, and what a run makes of them. Importable without Ansible."""

from __future__ import annotations

import json
import math
from typing import Any, Mapping

from .access import ACCESS_OPTION, Access, granting_groups
from .addresses import parse_pools
from .guard import Limits
from .roster import Policy
from .run import AccountToSweep, RunOptions

IDENTITY_ACCOUNTS_OPTION: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {"account_id": {"type": "str", "required": True}, "role_arn": {"type": "str"}},
}
DECISION_OPTIONS: dict[str, Any] = {
    "identity_accounts": IDENTITY_ACCOUNTS_OPTION,
    "access": ACCESS_OPTION,
    "address_pools": {"type": "list", "elements": "str", "required": True},
    "guard_count": {"type": "int", "default": 5},
    "guard_share": {"type": "float", "default": 25.0},
    "guard_majority": {"type": "float", "default": 50.0},
    "guard_many": {"type": "int", "default": 20},
    "guard_many_share": {"type": "float", "default": 2.0},
}


def run_options(params: Mapping[str, Any], release: frozenset[str] = frozenset()) -> RunOptions:
    """Read a module's options. Pools and networks that can't be used are said in `refused`.

    :raises ValueError: a limit of the guard isn't a number from 0 on.
    """
    accounts = [AccountToSweep(**account) for account in params["identity_accounts"] or []]
    limits = Limits(
        some=params["guard_count"],
        some_share=params["guard_share"],
        majority=params["guard_majority"],
        many=params["guard_many"],
        many_share=params["guard_many_share"],
    )
    granting = granting_groups(
        (entry["groups"], entry["accounts"] or [params["account_id"]]) for entry in params["access"]
    )
    wrong = [name for name in Limits._fields if not 0 <= getattr(limits, name) < math.inf]
    if wrong:
        raise ValueError(f"a limit of the guard isn't a number from 0 on: guard_{', guard_'.join(wrong)}")
    policy = Policy(granting, None, limits, release)
    given = json.dumps({name: params[name] for name in ("account_id", *DECISION_OPTIONS)}, sort_keys=True)
    options = RunOptions(accounts or [AccountToSweep(params["account_id"])], policy, given=given)
    try:
        networks = Access.parse(params["access"]).networks()
        pools = parse_pools(params["address_pools"], [str(network) for network in networks])
    except ValueError as error:
        return options._replace(refused=f"{error}. Confirmed revocations are applied, and nothing else")
    return options._replace(policy=policy._replace(pools=pools))


def read(given: str) -> RunOptions:
    """Read options as a decision has them, which a run left.

    :raises ValueError, KeyError, TypeError: they are of another version of the collection.
    """
    return run_options(json.loads(given))
