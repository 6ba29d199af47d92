# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the AWS modules share: the common options, checked clients, and failing in one line."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Iterator

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from .access import ACCESS_OPTION, Access
from .addresses import PoolError
from .aws import CLIENT_CONFIG, AWSCallError, calling, parse_timestamp
from .iam.sweep import check_account, find_user_in_any_case, sweep_of_user
from .iam.sweep import find_user as find_user_by_name
from .keys import fingerprint
from .model import USER_NAME, Receipt, Registration, Sweep, User, check_device_name
from .obstacles import Standing
from .registration import end_in_words
from .registry.dynamodb import RegistryError
from .registry.facts import RegistryFacts
from .registry.receipts import delay, delay_in_run
from .registry.table import Registry
from .revocation import Person, Revoked, identify_one
from .whitelist import AccountSweeps
from .wireguard.whom import read_whom

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_iam import IAMClient

REGISTRY_OPTIONS: dict[str, Any] = {
    "account_id": {"type": "str", "required": True},
    "registry_table": {"type": "str", "default": "tracklib-vpn"},
}
USER_OPTIONS: dict[str, Any] = {
    "user_name": {"type": "str", "required": True},
    "identity_account_id": {"type": "str"},
    "identity_role_arn": {"type": "str"},
}
OPTIONAL_ACCESS_OPTION: dict[str, Any] = {"access": {**ACCESS_OPTION, "required": False}}
_CREDENTIALS = ("profile_name", "aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def client(module: AnsibleAWSModule, service: str, **credentials: Any) -> Any:
    """A client with bounded retries; `aws_config` of the caller has the last word.

    All clients of a process share one session: each session of its own would load the SDK's data files again, 0.1 s.
    """
    from botocore.config import Config

    region, endpoint_url, options = get_aws_connection_info(module)
    config = Config(user_agent_extra="tracklib.vpn", **CLIENT_CONFIG)
    its_own = options.pop("aws_config", None)
    given = {name: options.pop(name, None) for name in _CREDENTIALS}
    with calling(f"{service}:*", f"region {region}"):
        return _session(**given).client(
            service,
            region_name=region,
            endpoint_url=endpoint_url,
            config=config.merge(its_own) if its_own else config,
            **{**options, **credentials},
        )


@lru_cache(maxsize=None)
def _session(**credentials: str | None) -> Any:
    from boto3.session import Session
    from botocore.session import Session as CoreSession

    core = CoreSession()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_timestamp)
    return Session(botocore_session=core, **credentials)


def session(module: AnsibleAWSModule) -> Session:
    """A session with the module's credentials, for what isn't a call of an AWS client.

    :raises AWSCallError: there is no such profile.
    """
    options = get_aws_connection_info(module)[2]
    with calling("sts:GetCallerIdentity", f"profile {options.get('profile_name')}"):
        made: Session = _session(**{name: options.get(name) for name in _CREDENTIALS})
    return made


def certificates(module: AnsibleAWSModule) -> str | bool:
    """Which certificates the module's options, the environment or the profile trust, as botocore's `verify`."""
    from botocore.session import Session as CoreSession

    options = get_aws_connection_info(module)[2]
    given: str | bool = options.get("verify", True)
    its_own = CoreSession(profile=options.get("profile_name")).get_config_variable("ca_bundle")
    return str(its_own) if given is True and its_own else given


def registry(module: AnsibleAWSModule) -> Registry:
    """The registry that the module's options name.

    :raises RegistryError: the table is none (R16, the wrong world is refused).
    """
    table = registry_table(module)
    table.check_identity()
    return table


def registry_table(module: AnsibleAWSModule) -> Registry:
    """The registry in the table that the module's options name, whether it is one yet or not."""
    return Registry(client(module, "dynamodb"), module.params["registry_table"])


def check_credentials(module: AnsibleAWSModule) -> str | None:
    """Refuse credentials of another account than `account_id` before anything is read or written.

    R16, the wrong world is refused.

    :returns: the caller's ARN, for the records that an order leaves.
    """
    return check_account(client(module, "sts"), module.params["account_id"])


def registration_result(registration: Registration) -> dict[str, Any]:
    """Write a registration as the modules return it."""
    return {
        **registration._asdict(),
        "addresses": list(registration.addresses),
        "created_at": int(registration.created_at),
        "expires_at": None if registration.expires_at is None else int(registration.expires_at),
        "renewed_at": None if registration.renewed_at is None else int(registration.renewed_at),
        "confirmed_end": None if registration.confirmed_end is None else int(registration.confirmed_end),
    }


def registration_diff(before: Registration | None, after: Registration | None) -> dict[str, str]:
    """A change of a registration as the modules show it: the record, of its key the fingerprint."""
    return {"before": _record(before), "after": _record(after)}


def _record(registration: Registration | None) -> str:
    if registration is None:
        return ""
    lines = (
        f"{registration.label} ({registration.user_id})",
        f"  key: {fingerprint(registration.public_key)}",
        f"  addresses: {', '.join(registration.addresses)}",
        f"  expires: {end_in_words(registration)}{_unless_used(registration)}",
        f"  registered by: {registration.by or '-'}",
    )
    return "".join(f"{line}\n" for line in lines)


def _unless_used(registration: Registration) -> str:
    if registration.confirmed_end is None:
        return ""
    return f", or {end_in_words(registration.confirmed())} once somebody has connected"


def receipt_result(receipt: Receipt) -> dict[str, Any]:
    """Write a receipt as the modules return it."""
    return {**receipt._asdict(), "delay": delay(receipt), "delay_in_run": delay_in_run(receipt)}


def iam_client(module: AnsibleAWSModule, account_id: str, role_arn: str | None = None) -> IAMClient:
    """Make an IAM client of exactly that account (R16, the wrong world is refused).

    :param role_arn: the role to assume there; None to use the module's own credentials.
    :raises AWSCallError: when the credentials can't be had or belong to another account.
    """
    credentials = {} if role_arn is None else _assume(module, role_arn)
    check_account(client(module, "sts", **credentials), account_id)
    iam: IAMClient = client(module, "iam", **credentials)
    return iam


def user_account(module: AnsibleAWSModule) -> str:
    """The account of the user whom the module's options name."""
    account_id: str = module.params["identity_account_id"] or module.params["account_id"]
    return account_id


class NoRoleError(AWSCallError):
    """A user's account whose IAM nothing says how to ask: none of `vpn_identity_accounts`, or without a role there."""


def users_iam(module: AnsibleAWSModule) -> IAMClient:
    """Make an IAM client of the account of the user whom the module's options name.

    :raises NoRoleError: it isn't the gateways' account, and no role is given.
    :raises AWSCallError: as iam_client() does.
    """
    account_id, own, role_arn = user_account(module), module.params["account_id"], module.params["identity_role_arn"]
    if account_id != own and role_arn is None:
        raise NoRoleError(
            f"account {account_id} is not the gateways' account {own}, and there is no role to read its users with; "
            f"expected vpn_identity_accounts to have account {account_id} with a role_arn (identity_role_arn of the "
            "module)"
        )
    return iam_client(module, account_id, role_arn)


def find_user(module: AnsibleAWSModule, table: Registry) -> User | None:
    """Find in IAM the user whom the module's options name, in whatever case; None if IAM says that there is none."""
    account_id, user_name = user_account(module), module.params["user_name"]
    iam = users_iam(module)
    return find_user_in_any_case(iam, account_id, user_name, partial(table.sweep, account_id))


def identify(module: AnsibleAWSModule, table: Registry, facts: RegistryFacts, given: str) -> Person:
    """Find whom an operator means by a name, label or id, with the device of the module's options."""
    named = Revoked(user_account(module), given, module.params["device"])
    return identify_one(partial(find_user, module, table), facts, named)


def standing(module: AnsibleAWSModule, person: Person, facts: RegistryFacts) -> Standing:
    """Find out how a user stands: by the registry, and by IAM now, or else by the last complete sweep.

    Groups count if the module's option `access` says which ones grant access.
    """
    params, stored = module.params, facts.sweeps.get(person.account_id)
    sweep, names = None, {person.user_id: person.user_name}
    try:
        iam = users_iam(module)
        if params["access"] is None:
            user = find_user_by_name(iam, person.account_id, person.user_name)
            sweep = Sweep(person.account_id, time.time(), {} if user is None else {user.user_id: user})
        else:
            sweep = sweep_of_user(iam, person.account_id, person.user_name)
    except AWSCallError as error:
        module.warn(f"IAM didn't say how {person.user_name} stands, the last complete sweep has to: {error}")
    return Standing(
        owner=person.owner,
        registrations=facts.registered.registrations,
        tombstones=facts.tombstones,
        blocks=facts.blocks,
        account=AccountSweeps(person.account_id, sweep, stored, labels=names),
        granting=None if params["access"] is None else Access.parse(params["access"], params["account_id"]).granting,
    )


def read_label(module: AnsibleAWSModule, *, needs_device: bool = False) -> None:
    """Take a label such as `alice/laptop` for the module's options `user_name` and `device`, and check both.

    :raises ValueError: no IAM user or no device can have such a name, or a device is needed and there is none.
    """
    user_name, device = read_whom(module.params["user_name"], module.params["device"] or "")
    module.params.update(user_name=user_name, device=device or None)
    check_user_name(module)
    if device:
        check_device_name(device, user_name)
    elif needs_device:
        raise ValueError(
            f"{user_name}: device is missing; expected 1 to 32 lower-case letters, digits and hyphens, or a label such "
            "as alice/laptop as the user's name"
        )


def check_user_name(module: AnsibleAWSModule) -> None:
    """Refuse a name that no IAM user can have.

    :raises ValueError: naming what was given and what is expected.
    """
    user_name = module.params["user_name"]
    if not re.fullmatch(USER_NAME, user_name):
        raise ValueError(f"user name {user_name!r} can't be an IAM user's; expected 1 to 64 letters, digits or _+=,.@-")


def _assume(module: AnsibleAWSModule, role_arn: str) -> dict[str, str]:
    with calling("sts:AssumeRole", role_arn):
        answer = client(module, "sts").assume_role(RoleArn=role_arn, RoleSessionName="tracklib-vpn")
    given = answer["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def require(module: AnsibleAWSModule, **libraries: str) -> None:
    """End the module, with what to install, when a library is missing; each is import name = package name."""
    for name, package in libraries.items():
        if find_spec(name) is None:
            module.fail_json(msg=missing_required_lib(package))


@contextmanager
def one_line_failures(module: AnsibleAWSModule) -> Iterator[None]:
    """End the module with the sentence of an expected error, without a traceback."""
    try:
        yield
    except (AWSCallError, RegistryError, PoolError, ValueError) as error:
        module.fail_json(msg=str(error))
