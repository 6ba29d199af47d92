# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Clients that read IAM in the identity accounts, for functions that stay alive from call to call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Mapping

from ..aws import calling

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


class IamClients:
    """Clients that read IAM in the identity accounts; a role's is made anew before its credentials expire."""

    def __init__(self, session: Any, roles: Mapping[str, str | None], config: Any) -> None:
        """Keep what clients are made by.

        :param session: boto3's.
        :param roles: by account; None where the session's own credentials do.
        :param config: botocore's, for each client.
        """
        self._session = session
        self._roles = roles
        self._config = config
        self._made: dict[str, tuple[IAMClient, float]] = {}

    def __call__(self, account_id: str) -> IAMClient:
        """The client for one of the identity accounts.

        :raises AWSCallError: its role can't be assumed.
        """
        client, usable_until = self._made.get(account_id, (None, 0.0))
        if client is None or time.time() > usable_until:
            client, usable_until = self._make(self._roles[account_id])
            self._made[account_id] = (client, usable_until)
        return client

    def _make(self, role_arn: str | None) -> tuple[IAMClient, float]:
        if role_arn is None:
            return self._session.client("iam", config=self._config), float("inf")
        with calling("sts:AssumeRole", role_arn):
            sts = self._session.client("sts", config=self._config)
            credentials = sts.assume_role(RoleArn=role_arn, RoleSessionName="tracklib-vpn")["Credentials"]
        client = self._session.client(
            "iam",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=self._config,
        )
        return client, credentials["Expiration"].timestamp() - 60
