# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The fast way: what gateways' listeners are told, so that a leaver is off before a build has begun.

A build follows all the same, and does whatever of this fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError, calling
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.message import RevocationMessage
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_BATCH = 10  # messages that SendMessageBatch takes
_TIME = 6  # seconds after which no further call begins: the function, whose own end it is after 30, starts a build, too


class Leaver(NamedTuple):
    """A user, or one device of a user, whose revocation the registry has on record; as a message says it."""

    account_id: str
    user_id: str
    user_name: str  # that the event says
    event_id: str
    device: str = ""  # empty if all of the user's are meant


class Told(NamedTuple):
    """What became of it: how many messages went out, and what failed, in words."""

    sent: int
    problems: Sequence[str]


class Listeners:
    """The listeners of all gateways, by the URLs of their queues."""

    def __init__(
        self, queue_urls: Sequence[str], registry: Registry, sqs: Any, iam_of: Callable[[str], IAMClient]
    ) -> None:
        self._queue_urls = queue_urls
        self._registry = registry
        self._sqs = sqs
        self._iam_of = iam_of

    def tell(self, leavers: Sequence[Leaver]) -> Told:
        """Tell every gateway whom to take off. The records must be in the registry: the generation comes after them.

        Raises nothing that AWS or the registry may answer.
        """
        if not self._queue_urls:
            return Told(0, [])
        give_up_at = time.monotonic() + _TIME
        sweeps, problems = self._sweeps({leaver.account_id for leaver in leavers if not leaver.device}, give_up_at)
        meant = [leaver for leaver in leavers if not is_somebody_else(leaver, sweeps.get(leaver.account_id))]
        if not meant:
            return Told(0, problems)
        try:
            _check_time(give_up_at)
            registry = self._registry.check_identity()
            _check_time(give_up_at)
            generation = self._registry.generations.take()
        except (AWSCallError, RegistryError) as error:
            return Told(0, [*problems, str(error)])
        messages = [RevocationMessage(registry, generation, **leaver._asdict()) for leaver in meant]
        failures = [failure for url in self._queue_urls for failure in self._send(url, messages, give_up_at)]
        return Told(len(messages) * len(self._queue_urls) - len(failures), [*problems, *failures])

    def _sweeps(self, account_ids: Iterable[str], give_up_at: float) -> tuple[Mapping[str, Sweep], list[str]]:
        """Ask IAM who is there now, since the stored sweep may know a name that has another owner by now."""
        sweeps, problems = {}, []
        for account_id in sorted(account_ids):
            try:
                _check_time(give_up_at)
                sweeps[account_id] = sweep(_Hurried(self._iam_of(account_id), give_up_at), account_id)  # type: ignore[arg-type]  # all it calls
            except Exception as error:  # noqa: BLE001  # it only makes sure; whatever it is, leavers go
                problems.append(f"account {account_id} could not be swept: {error}")
        return sweeps, problems

    def _send(self, url: str, messages: Sequence[RevocationMessage], give_up_at: float) -> list[str]:
        """Send messages to one queue; return a sentence about each that didn't get there."""
        failures: list[str] = []
        for start in range(0, len(messages), _BATCH):
            batch = messages[start : start + _BATCH]
            entries = [{"Id": str(number), "MessageBody": each.text()} for number, each in enumerate(batch)]
            try:
                _check_time(give_up_at)
                with calling("sqs:SendMessage", url):
                    refused = self._sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed", [])
            except AWSCallError as error:
                failures += [str(error)] * len(batch)
            else:
                failures += [
                    f"{url} refused a message: {each.get('Code')} {each.get('Message', '')}" for each in refused
                ]
        return failures


def tell(listeners: Listeners, leavers: Sequence[Leaver], logger: Logger, metrics: Metrics) -> None:
    """Have the gateways take leavers off now. What fails here is said in log and metrics, and done by the build."""
    if not leavers:
        return
    try:
        told = listeners.tell(leavers)
    except Exception as error:  # noqa: BLE001  # whatever it is, the build is started
        told = Told(0, [f"{type(error).__name__}: {error}"])
    for problem in told.problems:
        logger.error("the build does it instead", why=problem)
    metrics.add_metric("ListenersTold", MetricUnit.Count, told.sent)
    metrics.add_metric("ListenersNotTold", MetricUnit.Count, len(told.problems))


class _Hurried:
    """An IAM client of which a sweep asks for no further page once the time is up."""

    def __init__(self, iam: IAMClient, give_up_at: float) -> None:
        self._iam = iam
        self._give_up_at = give_up_at

    def get_account_authorization_details(self, **request: Any) -> Any:
        """Ask for a page."""
        _check_time(self._give_up_at)
        return self._iam.get_account_authorization_details(**request)


def _check_time(give_up_at: float) -> None:
    if time.monotonic() > give_up_at:
        raise AWSCallError(f"gateways' listeners could not be told within {_TIME} seconds")


def is_somebody_else(leaver: Leaver, listed: Sweep | None) -> bool:
    """Tell whether IAM lists the id under another name than the deleted one, so that the event isn't about this user.

    :param listed: a sweep from after the event; without one, what the registry recorded holds.
    """
    user = None if listed is None else listed.users.get(leaver.user_id)
    return user is not None and not leaver.device and user.user_name.casefold() != leaver.user_name.casefold()
