# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Settings of the function: environment variables, and one JSON document in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.access import Access
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import (
    Network,
    gateway_address,
    parse_pools,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import DEFAULT_MTU
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import regional_sts
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import check_public_key
from ansible_collections.tracklib.vpn.plugins.module_utils.model import User
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY, LIFE, LONGEST, seconds
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from .proof import Sts

AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]


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

    endpoint: Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")]
    public_key: Annotated[str, AfterValidator(check_public_key)]


class Document(_Document):
    """The JSON document in SETTINGS. Times are in seconds."""

    account_id: AccountId
    identity_accounts: list[IdentityAccount] = []
    access: Annotated[list[AccessEntry], Field(min_length=1)]
    address_pools: list[str]
    gateways: Annotated[list[GatewayEndpoint], Field(min_length=1)]
    domains: list[str] = []
    answers_other_names: bool = False  # whether the gateways' resolvers answer others than private ones, too
    mtu: Annotated[int, Field(ge=576, le=65535)] = DEFAULT_MTU  # of the gateways' interfaces
    devices_per_user: Annotated[int, Field(ge=1)] = 5
    changes_per_day: Annotated[int, Field(ge=1)] = 20  # new devices and new keys of a user
    # it can be renewed from its half on, 30 minutes early at least
    life: Annotated[int, Field(ge=3600, le=LONGEST)] = seconds("life", LIFE)
    address_quarantine: Annotated[int, Field(ge=0)] = 7 * DAY
    in_force_within: Annotated[int, Field(ge=0)] = 15 * 60


class SelfServiceSettings(NamedTuple):
    """Everything that is set, checked."""

    table: str
    queue_url: str
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


def read(environment: Mapping[str, str]) -> SelfServiceSettings:
    """Read the settings from environment variables.

    They are AWS_REGION, REGISTRY_TABLE, QUEUE_URL, SETTINGS and, if set, STS_URL.

    :raises ValueError: naming the variable, what was found and what is expected.
    """
    missing = [name for name in ("AWS_REGION", "REGISTRY_TABLE", "QUEUE_URL", "SETTINGS") if not environment.get(name)]
    if missing:
        raise ValueError(f"environment variables {', '.join(missing)} are not set")
    try:
        document = Document.model_validate_json(environment["SETTINGS"], strict=True)
        access = Access.parse([entry.model_dump() for entry in document.access], document.account_id)
        pools = parse_pools(document.address_pools, [str(network) for network in access.networks()])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ValueError(f"SETTINGS is refused: {where}: {first['msg']}") from None
    except ValueError as error:
        raise ValueError(f"SETTINGS is refused: {error}") from None
    region = environment["AWS_REGION"]
    return SelfServiceSettings(
        table=environment["REGISTRY_TABLE"],
        queue_url=environment["QUEUE_URL"],
        sts=Sts((environment.get("STS_URL") or regional_sts(region)).rstrip("/"), region),
        document=document,
        pools=pools,
        access=access,
    )
