# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The function's HTTP interface: routes, what they ask of a caller, and one log line for each call."""

from __future__ import annotations

import json
import re
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import urllib3
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import PoolError
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError, RegistryErrorCode
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.models import APIKey
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.utilities.typing import LambdaContext

from .bad_input import check_body, invalid
from .caller import claimed_identity, iam_user
from .devices import Admitted, DeviceChange, OwnDevices
from .messages import (
    JSON,
    DeviceAnswer,
    DeviceInPath,
    DeviceOut,
    DevicesAnswer,
    ErrorAnswer,
    ErrorOut,
    NewDevice,
    NewKey,
    Proof,
    RemovedAnswer,
    Tunnel,
    device_out,
    responses,
)
from .proof import prove
from .refusal import Refusal, RefusalCode
from .settings import SelfServiceSettings
from .urls import MANAGE, RENEW, FunctionUrls

_DESCRIPTION = (
    "Users of the VPN keep their own devices with it. The function has two URLs: `renew` for what lets a device in or "
    "gives it time (register, rotate, renew), `manage` for listing and removing. "
    "docs/self-service.md explains calls, codes and limits."
)
_SIGNATURE = {
    "name": "Authorization",
    "in": "header",
    "description": "AWS Signature Version 4 for the service `lambda`, checked by AWS before the function is called.",
}
_METHODS = (
    (re.compile("/devices"), "GET, POST"),
    (re.compile("/devices/[^/]+"), "DELETE"),
    (re.compile("/devices/[^/]+/(renewal|key)"), "PUT"),
)
_QUOTAS: dict[RegistryErrorCode | None, RefusalCode] = {
    RegistryErrorCode.DEVICE_LIMIT: RefusalCode.DEVICE_LIMIT,
    RegistryErrorCode.TOO_MANY_REMOVALS: RefusalCode.TOO_MANY_REMOVALS,
    RegistryErrorCode.TOO_MANY_CHANGES: RefusalCode.TOO_MANY_CHANGES,
}


class Api:
    """The function. `notify` tells the queue of a change and what it removed, `urls` by which URL a call came."""

    def __init__(
        self,
        settings: SelfServiceSettings,
        devices: OwnDevices,
        http: urllib3.PoolManager,
        notify: Callable[[Registration | None], None],
        urls: FunctionUrls,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._devices = devices
        self._http = http
        self._notify = notify
        self._urls = urls
        self._clock = clock
        self._logger = _logger()
        self._line: dict[str, Any] = {}
        self.app = self._resolver()

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one call, and log it in one line."""
        begun = time.monotonic()
        identity = claimed_identity(event)
        self._line = {
            **({} if identity is None else identity._asdict()),
            "request_id": context.aws_request_id,
            "method": event["requestContext"]["http"]["method"],
            "path": event["rawPath"][:200],
            "result": "ok",
        }
        try:
            check_body(event)
            answer = self.app.resolve(event, context)
        except Refusal as refusal:
            self._line["result"] = refusal.code
            answer = _answer(refusal)
        self._line.update(status=answer["statusCode"], milliseconds=round((time.monotonic() - begun) * 1000))
        self._logger.info("call", extra=self._line)
        return answer

    def _resolver(self) -> LambdaFunctionUrlResolver:
        app = LambdaFunctionUrlResolver(enable_validation=True)
        every = (400, 403, 405, 413, 415, 503)
        for method, path, route, answer, statuses in (
            (app.post, "/devices", self.register, DeviceAnswer, (*every, 409)),
            (app.get, "/devices", self.devices, DevicesAnswer, every),
            (app.put, "/devices/<device>/renewal", self.renew, DeviceAnswer, (*every, 404, 409)),
            (app.put, "/devices/<device>/key", self.rotate, DeviceAnswer, (*every, 404, 409)),
            (app.delete, "/devices/<device>", self.remove, RemovedAnswer, (*every, 404)),
        ):
            method(path, responses=responses(answer, *statuses), operation_id=route.__name__)(route)
        app.exception_handler(Refusal)(self._refused)
        app.exception_handler(RequestValidationError)(lambda error: self._refused(invalid(error)))
        app.exception_handler(RegistryError)(lambda error: self._refused(_of_registry(error)))
        app.exception_handler(PoolError)(self._no_address)
        app.exception_handler(AWSCallError)(self._aws_failed)
        app.exception_handler(Exception)(self._failed)
        app.not_found(lambda _error: self._refused(self._no_route()))
        return app

    def description(self) -> dict[str, Any]:
        """Return the OpenAPI description."""
        text = self.app.get_openapi_json_schema(
            title="Self-service of tracklib.vpn",
            version="1",
            description=_DESCRIPTION,
            security_schemes={"sigv4": APIKey.model_validate(_SIGNATURE)},
            security=[{"sigv4": []}],
        )
        description: dict[str, Any] = json.loads(text)
        for path in description["paths"].values():
            for operation in path.values():
                del operation["responses"]["422"]  # Powertools' own; here it is a 400
        for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
            del description["components"]["schemas"][unused]
        return description

    # -- routes

    def register(self, body: Annotated[NewDevice, Body()], proof: Proof) -> DeviceAnswer:
        """Register a device of the caller's. Again with the same key it changes nothing."""
        admitted = self._admit("register", RENEW, proof, body.device)
        change = self._devices.register(admitted, body.device, body.public_key)
        return self._changed(admitted, change)

    def devices(self, proof: Proof) -> DevicesAnswer:
        """The caller's devices."""
        admitted = self._admit("list", MANAGE, proof)
        return DevicesAnswer(
            devices=[self._device(registration, admitted) for registration in self._devices.of(admitted)],
            limit=self._settings.document.devices_per_user,
            tunnel=self._tunnel(admitted.user),
        )

    def renew(self, device: DeviceInPath, proof: Proof) -> DeviceAnswer:
        """Begin another life of a device, from half of its life on; key and addresses stay."""
        admitted = self._admit("renew", RENEW, proof, device)
        return self._changed(admitted, self._devices.renew(admitted, device))

    def rotate(self, device: DeviceInPath, body: Annotated[NewKey, Body()], proof: Proof) -> DeviceAnswer:
        """Give a device another key; addresses and expiry stay."""
        admitted = self._admit("rotate", RENEW, proof, device)
        return self._changed(admitted, self._devices.rotate(admitted, device, body.public_key))

    def remove(self, device: DeviceInPath, proof: Proof) -> RemovedAnswer:
        """Remove a device; its addresses rest, its key stays the caller's."""
        admitted = self._admit("remove", MANAGE, proof, device)
        removed = self._devices.remove(admitted, device)
        self._line["changed"] = True
        self._ask_for_reconcile(removed)
        return RemovedAnswer(device=self._device(removed, admitted), in_force_from=self._in_force_from())

    # -- what every route does

    def _admit(self, action: str, alias: str, proof: str, device: str | None = None) -> Admitted:
        """Admit the caller, if the call came by the action's own URL and the proof holds.

        R14, callers prove who they are.
        """
        self._line.update(action=action, device=device)
        event = self.app.current_event.raw_event
        host = str(event["requestContext"].get("domainName"))
        function, called = self._urls.alias_of(self.app.lambda_context.invoked_function_arn, host)
        if called != alias:
            raise Refusal(RefusalCode.WRONG_URL, f"this URL doesn't {action}: use the function's {alias} URL")
        caller = iam_user(claimed_identity(event))
        if caller.account_id not in self._settings.roles:
            raise Refusal(
                RefusalCode.ACCOUNT_NOT_SERVED, f"users of account {caller.account_id} have no access to the VPN"
            )
        prove(proof, caller.identity, function, self._settings.sts, self._http, self._clock())
        self._line.update(proven=True, user_name=caller.user_name)
        admitted = self._devices.admit(caller)
        if admitted.iam_error is not None:
            self._line["iam_error"] = admitted.iam_error
        return admitted

    def _changed(self, admitted: Admitted, change: DeviceChange) -> DeviceAnswer:
        self._line["changed"] = not change.is_none
        if not change.is_none and not change.can_wait(self._clock()):
            self._ask_for_reconcile()
        return DeviceAnswer(
            device=self._device(change.registration, admitted),
            tunnel=self._tunnel(admitted.user),
            in_force_from=self._in_force_from(),
        )

    def _device(self, registration: Registration, admitted: Admitted) -> DeviceOut:
        blocked = admitted.blocked.get(registration.device)
        return device_out(registration, self._devices.renewable_from(registration), blocked)

    def _ask_for_reconcile(self, removed: Registration | None = None) -> None:
        """Ask for a reconcile. A lost message only makes it wait for the sweeper.

        :param removed: what was removed, which the gateways needn't wait for a reconcile to take off.
        """
        try:
            self._notify(removed)
        except AWSCallError as error:
            self._line["queue_error"] = str(error)

    def _in_force_from(self) -> int:
        return int(self._clock()) + self._settings.document.in_force_within

    def _tunnel(self, user: User) -> Tunnel:
        settings = self._settings
        return Tunnel(
            gateways=settings.document.gateways,
            networks=settings.networks(user),
            dns_servers=settings.dns_servers,
            domains=settings.document.domains,
            answers_other_names=settings.document.answers_other_names,
            mtu=settings.document.mtu,
        )

    # -- what isn't a success

    def _refused(self, refusal: Refusal) -> Response[str]:
        self._line["result"] = refusal.code
        return Response(refusal.status, JSON, _body(refusal), headers=refusal.headers)

    def _no_address(self, error: PoolError) -> Response[str]:
        self._line["error"] = str(error)
        return self._refused(Refusal(RefusalCode.NO_ADDRESS, "no address is left; tell the operators of the VPN"))

    def _aws_failed(self, error: AWSCallError) -> Response[str]:
        self._line["error"] = str(error)
        return self._refused(_of_failure(error, ""))

    def _failed(self, error: Exception) -> Response[str]:
        self._line["error"] = "".join(traceback.format_exception(error))
        return self._refused(_of_failure(error, self._line["request_id"]))

    def _no_route(self) -> Refusal:
        path = self.app.current_event.path
        for pattern, methods in _METHODS:
            if pattern.fullmatch(path):
                return Refusal(RefusalCode.NO_SUCH_METHOD, f"this path has only {methods}", {"Allow": methods})
        return Refusal(RefusalCode.NO_SUCH_PATH, "there is nothing at this path; begin with /devices")


def _of_registry(error: RegistryError) -> Refusal:
    if error.code is RegistryErrorCode.KEY_HELD:  # by whom is none of the caller's business
        return Refusal(RefusalCode.KEY_HELD, "another device has this public key, and a key is for one device")
    if error.code in _QUOTAS:
        return Refusal(_QUOTAS[error.code], str(error))
    return Refusal(RefusalCode.COLLIDED, "too many others changed the registry at the same time; try again")


def unable(error: Exception, request_id: str) -> dict[str, Any]:
    """Answer a call that can't be served at all, since the settings can't be read, and log it in one line."""
    refusal = _of_failure(error, request_id)
    line = {"request_id": request_id, "result": refusal.code, "status": refusal.status, "error": str(error)}
    _logger().info("call", extra=line)
    return _answer(refusal)


def _of_failure(error: Exception, request_id: str) -> Refusal:
    if isinstance(error, AWSCallError):
        sentence = "AWS doesn't answer the function as it should; try again in a minute"
        return Refusal(RefusalCode.AWS_UNAVAILABLE, sentence)
    return Refusal(RefusalCode.INTERNAL, f"the function failed; tell the operators: {request_id}")


def _answer(refusal: Refusal) -> dict[str, Any]:
    return {"statusCode": refusal.status, "headers": {"Content-Type": JSON}, "body": _body(refusal)}


def _body(refusal: Refusal) -> str:
    return ErrorAnswer(error=ErrorOut(code=refusal.code, message=refusal.message)).model_dump_json()


def _logger() -> Logger:
    # ASCII: what a caller wrote can't end a line, not even for readers who know Unicode's other line ends
    return Logger(service="tracklib-vpn-self-service", json_serializer=partial(json.dumps, default=str))
