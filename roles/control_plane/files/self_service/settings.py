# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Settings of the function: environment variables, and one JSON document in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.access import Access
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import (
    Network,
    gateway_address,
    parse_pools,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import DEFAULT_MTU, parse_endpoint
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import regional_sts
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import check_public_key
from ansible_collections.tracklib.vpn.plugins.module_utils.model import User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.settings import ACCOUNT_ID, RANGES
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY, LIFE, seconds
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from .proof import Sts

AccountId = Annotated[str, Field(pattern=f"^{ACCOUNT_ID}$")]


def _in_range(name: str) -> Any:
    least, most = RANGES[name]
    return Field(ge=least, le=most)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IdentityAccount(_Document):
    """An account whose users may call; `role_arn` is assumed for reading IAM there, if it isn't the function's own."""

    account_id: AccountId
    role_arn: str | None = None


class AccessEntry(_Document):
    """One grant of `vpn_access`; `accounts` empty for `account_id` alone."""

    groups: Annotated[list[str], Field(min_length=1)]
    networks: Annotated[list[str], Field(min_length=1)]
    accounts: list[AccountId] = []
    ports: list[str] = []


class GatewayEndpoint(_Document):
    """A gateway as clients dial it: `vpn.example.com:51820`, and its public key."""

    endpoint: Annotated[str, AfterValidator(parse_endpoint)]
    public_key: Annotated[str, AfterValidator(check_public_key)]


class Document(_Document):
    """The JSON document. Times are in seconds."""

    account_id: AccountId
    identity_accounts: list[IdentityAccount] = []
    access: Annotated[list[AccessEntry], Field(min_length=1)]
    address_pools: list[str]
    gateways: Annotated[list[GatewayEndpoint], Field(min_length=1)]
    domains: list[str] = []
    answers_other_names: bool = False  # whether the gateways' resolvers answer others than private ones, too
    mtu: Annotated[int, _in_range("mtu")] = DEFAULT_MTU  # of the gateways' interfaces
    devices_per_user: Annotated[int, _in_range("devices_per_user")] = 5
    changes_per_day: Annotated[int, _in_range("changes_per_day")] = 20  # new devices and new keys of a user
    # it can be renewed from its half on, 30 minutes early at least
    life: Annotated[int, _in_range("life")] = seconds("life", LIFE)
    address_quarantine: Annotated[int, _in_range("address_quarantine")] = 7 * DAY
    in_force_within: Annotated[int, _in_range("in_force_within")] = 15 * 60


class FunctionEnvironment(NamedTuple):
    """What the function's environment variables say."""

    table: str
    queue_url: str
    sts: Sts


class SelfServiceSettings(NamedTuple):
    """Everything that is set, checked."""

    sts: Sts
    document: Document
    pools: list[Network]
    access: Access

    @property
    def roles(self) -> dict[str, str | None]:
        """The roles to assume for reading IAM, by identity account; None for the function's own credentials."""
        accounts = self.document.identity_accounts or [IdentityAccount(account_id=self.document.account_id)]
        return {account.account_id: account.role_arn for account in accounts}

    @property
    def dns_servers(self) -> list[str]:
        """The gateway's addresses in the tunnel, where its resolver answers."""
        return [gateway_address(pool) for pool in self.pools]

    def networks(self, user: User) -> list[str]:
        """List the networks that the user's groups grant, in CIDR form."""
        return self.access.granted_to(user)


def read_environment(environment: Mapping[str, str]) -> FunctionEnvironment:
    """Read AWS_REGION, REGISTRY_TABLE, QUEUE_URL and, if set, STS_URL.

    :raises ValueError: naming what isn't set.
    """
    missing = [name for name in ("AWS_REGION", "REGISTRY_TABLE", "QUEUE_URL") if not environment.get(name)]
    if missing:
        raise ValueError(f"environment variables {', '.join(missing)} are not set")
    region = environment["AWS_REGION"]
    sts = Sts((environment.get("STS_URL") or regional_sts(region)).rstrip("/"), region)
    return FunctionEnvironment(environment["REGISTRY_TABLE"], environment["QUEUE_URL"], sts)


def read(sts: Sts, text: str | None) -> SelfServiceSettings:
    """Read the document that the registry has.

    :raises ValueError: naming what was found and what is expected.
    """
    if text is None:
        raise ValueError("the registry has no settings of self-service: deploy again")
    try:
        document = Document.model_validate_json(text, strict=True)
        access = Access.parse([entry.model_dump() for entry in document.access], document.account_id)
        pools = parse_pools(document.address_pools, [str(network) for network in access.networks()])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ValueError(f"the settings in the registry are refused: {where}: {first['msg']}") from None
    except ValueError as error:
        raise ValueError(f"the settings in the registry are refused: {error}") from None
    return SelfServiceSettings(sts, document, pools, access)
