# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The dispatcher: takes messages, writes tombstones, starts each project at most once, tells what ends soon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError, calling
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Sign, Sweep, Tombstone
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from .builds import start_build
from .endings import mail_of_endings
from .listeners import Leaver, Listeners, tell
from .messages import (
    EndingsDue,
    HostChanged,
    IamChanged,
    Message,
    Poison,
    RegistryChanged,
    RemovedDevice,
    SignOfLeaving,
    UserDeleted,
    parse,
)
from .settings import NAMESPACE, DispatcherSettings, NamedHosts

_PAUSE = (10, 20)  # seconds until refused messages come back
# A build ends within 10 minutes. What waits for longer waits for an operator, and has the queue's 1,000 receives.
_PATIENT_AFTER = 40  # receives
_LONG_PAUSE = 300  # seconds: with it a message stays for 3 days
# A message comes back while builds are refused. Listeners were told the first time, unless the function ended before.
_TOLD_WITHIN = 3  # receives
_MAX_ENTRIES = 10  # of a ChangeMessageVisibilityBatch
_MAX_REASON = 250  # characters


class DispatcherClients(NamedTuple):
    """AWS clients. Calls are few, so botocore's own are not typed further here."""

    codebuild: Any
    ec2: Any
    sns: Any
    sqs: Any


class Noted(NamedTuple):
    """What became of a message: who is to be off at once, and whether the registry has its record only now."""

    leaver: Leaver | None = None
    is_new: bool = False


class Dispatcher:
    """Takes batches of messages as Lambda gives them. Any message may come twice, late, and in any order."""

    def __init__(
        self,
        settings: DispatcherSettings,
        registry: Registry,
        clients: DispatcherClients,
        listeners: Listeners,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._clients = clients
        self._listeners = listeners
        self._clock = clock
        self._logger = Logger()
        self._metrics = Metrics(namespace=NAMESPACE)
        self._sweeps: dict[str, Sweep | None] = {}  # of this batch
        self._leavers: list[Leaver] = []  # of this batch

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Take every message, tell the listeners, then start what is asked for; return what goes back to the queue."""
        self._logger.append_keys(request_id=context.aws_request_id)
        self._sweeps.clear()
        self._leavers.clear()
        processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
        with processor(records=event["Records"], handler=self._take):
            taken = processor.process()
            tell(self._listeners, self._leavers, self._logger, self._metrics)
            requests = [(project, SQSRecord(record)) for outcome, project, record in taken if outcome == "success"]
            # names go last: an account may have room for one build, and no access depends on them
            for project in sorted({asked for asked, _record in requests if asked}, key=self._settings.is_for_names):
                if not start_build(self._clients.codebuild, project, self._logger, self._metrics):
                    processor.fail_messages += [record for asked, record in requests if asked == project]
        answer: dict[str, Any] = dict(processor.response())
        returned = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        self._return_together([record for record in event["Records"] if record["messageId"] in returned])
        if self._metrics.metric_set:
            self._metrics.flush_metrics()
        return answer

    def _take(self, record: SQSRecord) -> str | None:
        """Do what a message alone asks for; return the project to start, if any."""
        try:
            return self._act(record)
        except Exception:
            self._logger.exception("the message goes back to the queue", message_id=record.message_id)
            self._metrics.add_metric("Failed", MetricUnit.Count, 1)
            raise

    def _act(self, record: SQSRecord) -> str | None:
        try:
            message = parse(record.body, self._settings.identity_accounts, self._settings.gateway_account)
        except Poison as reason:
            self._set_aside(record, str(reason))
            return None
        self._logger.info(
            "message", message_id=record.message_id, kind=type(message).__name__, content=message._asdict()
        )
        if isinstance(message, HostChanged):
            return self._settings.names_project if self._is_named(message.instance_id) else None
        if isinstance(message, EndingsDue):
            self._tell_of_endings()
            return None
        if isinstance(message, (IamChanged, SignOfLeaving, UserDeleted)):
            self._metrics.add_metric("EventDelay", MetricUnit.Seconds, max(0, self._clock() - message.event_time))
        received_at = int(record.attributes.sent_timestamp) / 1000
        noted = self._note(message, received_at)
        is_early = noted.is_new or int(record.attributes.approximate_receive_count) <= _TOLD_WITHIN
        if noted.leaver is not None and is_early:
            self._leavers.append(noted.leaver)
        return self._settings.reconcile_project

    def _note(self, message: Message, received_at: float) -> Noted:
        """Write to the registry what a message says."""
        if isinstance(message, UserDeleted):
            deletion = tombstone(message, self._sweep(message.account_id), received_at)
            is_new = self._registry.write_tombstone(deletion)
            self._metrics.add_metric("Tombstones", MetricUnit.Count, 1)
            return Noted(leaver_of(deletion, self._sweep(message.account_id)), is_new)
        if isinstance(message, SignOfLeaving):
            early_sign = sign(message, self._sweep(message.account_id), received_at)
            if early_sign is not None:
                self._registry.write_sign(early_sign)
        if isinstance(message, RegistryChanged) and message.removed is not None:
            return Noted(self._removed(message.removed))
        return Noted()

    def _removed(self, device: RemovedDevice) -> Leaver | None:
        """Return a device that its user removed, if the registry agrees: the queue's message alone is no record."""
        owner = (device.account_id, device.user_id)
        try:
            present = self._registry.devices.registration(owner, device.device)
        except AWSCallError as error:
            self._logger.error("the build does it instead", why=str(error))
            return None
        if present is not None:
            return None
        return Leaver(*owner, device.user_name, f"removed-{device.user_id}", device.device)

    def _sweep(self, account_id: str) -> Sweep | None:
        """The account's last complete sweep, read once for a batch."""
        if account_id not in self._sweeps:
            self._sweeps[account_id] = self._registry.sweep(account_id)
        return self._sweeps[account_id]

    def _tell_of_endings(self) -> None:
        """Mail the operators which registrations end soon, if any."""
        sweeps = {account_id: self._sweep(account_id) for account_id in self._settings.identity_accounts}
        mail = mail_of_endings(self._registry.devices.registrations(), sweeps, self._clock())
        if mail is None:
            return
        with calling("sns:Publish", self._settings.topic):
            self._clients.sns.publish(TopicArn=self._settings.topic, Subject=mail.subject, Message=mail.text)

    def _is_named(self, instance_id: str) -> bool:
        """Tell whether a name may stand for the instance; a terminated one loses its tags, so it counts."""
        if self._settings.names_project is None:
            return False
        with calling("ec2:DescribeInstances", f"instance {instance_id}"):
            # by filter: asked for by id, an instance that is gone would be an error
            page = self._clients.ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [instance_id]}])
        instances = [instance for reservation in page["Reservations"] for instance in reservation["Instances"]]
        if not instances or instances[0]["State"]["Name"] == "terminated":
            return True
        tags = {tag["Key"]: tag["Value"] for tag in instances[0].get("Tags", ())}
        return is_named(instance_id, tags, self._settings.named_hosts)

    def _set_aside(self, record: SQSRecord, reason: str) -> None:
        self._logger.error("poison", message_id=record.message_id, reason=reason)
        with calling("sqs:SendMessage", self._settings.dead_letters_url):
            self._clients.sqs.send_message(
                QueueUrl=self._settings.dead_letters_url,
                MessageBody=record.body,
                MessageAttributes={
                    "reason": {"DataType": "String", "StringValue": ascii(reason)[1 : _MAX_REASON + 1]},
                    "message_id": {"DataType": "String", "StringValue": record.message_id},
                },
            )
        self._metrics.add_metric("Poison", MetricUnit.Count, 1)

    def _return_together(self, records: Sequence[dict[str, Any]]) -> None:
        """Let the messages come back soon, and at one time, so that one build stands for all of them."""
        soon = random.randint(*_PAUSE)
        for start in range(0, len(records), _MAX_ENTRIES):
            entries = [
                {
                    "Id": str(number),
                    "ReceiptHandle": record["receiptHandle"],
                    "VisibilityTimeout": pause(int(record["attributes"]["ApproximateReceiveCount"]), soon),
                }
                for number, record in enumerate(records[start : start + _MAX_ENTRIES])
            ]
            try:
                with calling("sqs:ChangeMessageVisibility", self._settings.queue_url):
                    self._clients.sqs.change_message_visibility_batch(
                        QueueUrl=self._settings.queue_url, Entries=entries
                    )
            except AWSCallError as error:
                # they come back all the same, when the queue's own time is over
                self._logger.warning("visibility", why=str(error))


def pause(receives: int, soon: int) -> int:
    """Return the seconds until a message that was received so many times comes back."""
    return soon if receives <= _PATIENT_AFTER else _LONG_PAUSE


def tombstone(deleted: UserDeleted, sweep: Sweep | None, received_at: float) -> Tombstone:
    """Make the record of a deletion.

    :param sweep: the account's last complete one, which may know the name's `user_id`.
    :param received_at: when the queue got the event, which can't have happened later.
    """
    event_time = min(deleted.event_time, received_at)
    user_id = _user_id(deleted.user_name, sweep, event_time)
    return Tombstone(deleted.account_id, deleted.event_id, deleted.user_name, user_id, event_time, by=deleted.by)


def leaver_of(deletion: Tombstone, sweep: Sweep | None) -> Leaver | None:
    """Return whom listeners are to take off; nobody where it isn't sure whose the name was (R1, identity).

    :param sweep: that the deletion's `user_id` is from. A later one than the event may list, under that name, somebody
        who was renamed since.
    """
    if deletion.user_id is None or sweep is None or sweep.begun_at > deletion.event_time:
        return None
    return Leaver(deletion.account_id, deletion.user_id, deletion.user_name, deletion.event_id)


def sign(message: SignOfLeaving, sweep: Sweep | None, received_at: float) -> Sign | None:
    """Make the record of an early sign; None for a user whom the last complete sweep doesn't know."""
    event_time = min(message.event_time, received_at)
    user_id = _user_id(message.user_name, sweep, event_time)
    return None if user_id is None else Sign(message.account_id, user_id, message.event_name, event_time)


def _user_id(user_name: str, sweep: Sweep | None, event_time: float) -> str | None:
    """Whom the name meant before the event.

    A user created later may be in the sweep by now, and isn't the one (R1, identity).
    """
    user = None if sweep is None else sweep.named(user_name)
    return user.user_id if user is not None and user.created_at < event_time else None


def is_named(instance_id: str, tags: dict[str, str], named: Sequence[NamedHosts]) -> bool:
    """Tell whether one of the entries of `vpn_names` means the instance."""
    return any(
        hosts.instance_id == instance_id or (bool(hosts.tags) and hosts.tags.items() <= tags.items()) for hosts in named
    )
