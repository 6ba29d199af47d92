# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A registry and users in the emulated AWS, and the modules run against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

ACCOUNT = "123456789012"
POOLS = ["10.44.0.0/20", "fd44:7472:6163:6b::/64"]
ACCESS = [{"groups": ["vpn"], "networks": ["10.20.0.0/16"]}]


OPERATOR = f"arn:aws:sts::{ACCOUNT}:user/moto"  # as the emulated STS names everybody


class Vpn:
    """What most tests need; `run` starts a module as Ansible ships it and returns its result."""

    def __init__(self, iam: Any, dynamodb: Any, table: str, run: Callable[..., dict[str, Any]]) -> None:
        self.iam = iam
        self.dynamodb = dynamodb
        self.table = table
        self._run = run
        iam.create_group(GroupName="vpn")

    def user(self, name: str, group: str | None = "vpn") -> str:
        user_id: str = self.iam.create_user(UserName=name)["User"]["UserId"]
        if group is not None:
            self.iam.add_user_to_group(GroupName=group, UserName=name)
        return user_id

    def delete_user(self, name: str) -> None:
        for group in self.iam.list_groups_for_user(UserName=name)["Groups"]:
            self.iam.remove_user_from_group(GroupName=group["GroupName"], UserName=name)
        self.iam.delete_user(UserName=name)

    def registry(self) -> Registry:
        return Registry(self.dynamodb, self.table)

    def items(self, pk: str) -> list[dict[str, Any]]:
        answer = self.dynamodb.query(
            TableName=self.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
        )
        items: list[dict[str, Any]] = answer["Items"]
        return items

    def module(
        self, name: str, check: bool = False, env: dict[str, str] | None = None, **options: Any
    ) -> dict[str, Any]:
        result = self._call(name, check, env, options)
        assert not result.get("failed"), result
        return result

    def fails(self, name: str, env: dict[str, str] | None = None, **options: Any) -> str:
        result = self._call(name, False, env, options)
        assert result.get("failed"), result
        assert len(result["msg"].splitlines()) == 1, result["msg"]
        message: str = result["msg"]
        return message

    def register(self, user_name: str, device: str, public_key: str, **options: Any) -> dict[str, Any]:
        return self.module("registration", user_name=user_name, device=device, public_key=public_key, **options)

    def _call(self, name: str, check: bool, env: dict[str, str] | None, options: dict[str, Any]) -> dict[str, Any]:
        common: dict[str, Any] = {"account_id": ACCOUNT}
        if name != "iam_users_info":
            common["registry_table"] = self.table
        if name == "roster" or (name == "registration" and options.get("state", "present") == "present"):
            common["address_pools"] = POOLS
        if name == "roster":
            common["access"] = ACCESS
        return self._run(name, {**common, **options}, check=check, env=env)
