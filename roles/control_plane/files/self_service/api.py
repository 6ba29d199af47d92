# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The function's HTTP interface: routes, what they take and answer, and one log line for each call."""

from __future__ import annotations

import base64
import json
import re
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import urllib3
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import PoolError
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import check_public_key
from ansible_collections.tracklib.vpn.plugins.module_utils.model import DEVICE_NAME, Registration, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.self_service import PROOF_HEADER
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.models import APIKey
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .caller import claimed_identity, iam_user
from .devices import Admitted, Change, Devices
from .proof import prove
from .refusal import Refusal
from .settings import Gateway, Settings

MANAGE, RENEW = "manage", "renew"  # aliases of the function, each with a URL of its own
MAX_BODY = 4096  # bytes

_JSON = "application/json"
_DESCRIPTION = (
    "Users of the VPN keep their own devices with it. The function has two URLs: `manage` for everything but "
    "renewal, `renew` for renewal alone. docs/self-service.md explains calls, codes and limits."
)
_SIGNATURE = {
    "name": "Authorization",
    "in": "header",
    "description": "AWS Signature Version 4 for the service `lambda`, checked by AWS before the function is called.",
}
# 32 bytes in base64, of which the highest bit and the two that don't count are zero
_PUBLIC_KEY = "[A-Za-z0-9+/]{41}[A-HQ-Xg-nw-z0-3][AEIMQUYcgkosw048]="
_METHODS = (
    (re.compile("/devices"), "GET, POST"),
    (re.compile("/devices/[^/]+"), "DELETE"),
    (re.compile("/devices/[^/]+/(renewal|key)"), "PUT"),
)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


DeviceName = Annotated[str, Field(pattern=f"^{DEVICE_NAME}$", description="The device's name.")]
PublicKey = Annotated[
    str,
    AfterValidator(check_public_key),
    Field(
        description="The device's public key, as `wg pubkey` prints it.",
        json_schema_extra={"pattern": f"^{_PUBLIC_KEY}$"},
    ),
]
DeviceInPath = Annotated[str, Path(pattern=f"^{DEVICE_NAME}$", description="The device's name.")]
Proof = Annotated[
    str,
    Header(
        alias=PROOF_HEADER,
        description="A signed GetCallerIdentity request that names this function, in base64 of JSON.",
    ),
]


class NewDevice(_Body):
    """A device to register."""

    device: DeviceName
    public_key: PublicKey


class NewKey(_Body):
    """Another key for a device."""

    public_key: PublicKey


class DeviceOut(BaseModel):
    """A registration. Times are seconds since the epoch."""

    device: str
    public_key: str
    addresses: list[str]
    created_at: int
    expires_at: Annotated[int | None, Field(description="Null: it doesn't expire.")]
    renewable_from: Annotated[int | None, Field(description="When half of its life is over.")]
    handed_out: Annotated[bool, Field(description="Its private key was made by an operator.")]
    blocked: Annotated[str | None, Field(description="Why it may not connect.")]


class Tunnel(BaseModel):
    """What a client's configuration needs beside key and addresses."""

    gateways: list[Gateway]
    networks: Annotated[list[str], Field(description="What the user's groups may reach, in CIDR form.")]
    dns_servers: Annotated[list[str], Field(description="The gateway's addresses in the tunnel.")]
    domains: Annotated[list[str], Field(description="The private zones that these answer for.")]


class DeviceAnswer(BaseModel):
    """A device after a change."""

    device: DeviceOut
    tunnel: Tunnel
    in_force_from: Annotated[int, Field(description="When every gateway has it at the latest.")]


class DevicesAnswer(BaseModel):
    """All devices of the caller."""

    devices: list[DeviceOut]
    limit: Annotated[int, Field(description="How many devices a user may have.")]
    tunnel: Tunnel


class RemovedAnswer(BaseModel):
    """A device as it was before it was removed."""

    device: DeviceOut
    in_force_from: Annotated[int, Field(description="When no gateway has it any more, at the latest.")]


class ErrorOut(BaseModel):
    """Why a call was refused: a stable code, and a sentence."""

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """Every answer that isn't a success."""

    error: ErrorOut


_ERRORS = {
    400: "The request isn't one that the function understands.",
    403: "The caller isn't who the call says, or has no access.",
    404: "There is no such device or path.",
    405: "The path has no such method.",
    409: "The registration is in a state that doesn't allow it, or a limit is reached.",
    413: f"The body is larger than {MAX_BODY} bytes.",
    415: "The body isn't JSON.",
    503: "Something that the function needs doesn't answer; nothing was changed.",
}


def _responses(answer: type[BaseModel], *statuses: int) -> dict[int, Any]:
    described = {200: (" ".join((answer.__doc__ or "").split()), answer)}
    described.update({status: (_ERRORS[status], ErrorAnswer) for status in statuses})
    return {
        status: {"description": description, "content": {_JSON: {"model": model}}}
        for status, (description, model) in described.items()
    }


class Api:
    """The function. `notify` tells the queue that the registry changed."""

    def __init__(
        self,
        settings: Settings,
        devices: Devices,
        http: urllib3.PoolManager,
        notify: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._devices = devices
        self._http = http
        self._notify = notify
        self._clock = clock
        self._logger = Logger(service="tracklib-vpn-self-service")
        self._line: dict[str, Any] = {}
        self.app = self._resolver()

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one call, and log it in one line. Never raises."""
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
            response = self._refused(refusal)
            answer = {"statusCode": refusal.status, "headers": {"Content-Type": _JSON}, "body": response.body}
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
            method(path, responses=_responses(answer, *statuses), operation_id=route.__name__)(route)
        app.exception_handler(Refusal)(self._refused)
        app.exception_handler(RequestValidationError)(lambda error: self._refused(invalid(error)))
        app.exception_handler(RegistryError)(lambda error: self._refused(_of_registry(error)))
        app.exception_handler(PoolError)(self._no_address)
        app.exception_handler(AWSCallError)(self._aws_failed)
        app.exception_handler(Exception)(self._failed)
        app.not_found(lambda _error: self._refused(self._no_route()))
        return app

    def description(self) -> dict[str, Any]:
        """The OpenAPI description."""
        text = self.app.get_openapi_json_schema(
            title="Self-service of tracklib.vpn",
            version="1",
            description=_DESCRIPTION,
            security_schemes={"sigv4": APIKey.model_validate(_SIGNATURE)},
            security=[{"sigv4": []}],
        )
        found: dict[str, Any] = json.loads(text)
        for path in found["paths"].values():
            for operation in path.values():
                del operation["responses"]["422"]  # Powertools' own; here it is a 400
        for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
            del found["components"]["schemas"][unused]
        return found

    # -- routes

    def register(self, body: Annotated[NewDevice, Body()], proof: Proof) -> DeviceAnswer:
        """Register a device of the caller's. Again with the same key it changes nothing."""
        admitted = self._admit("register", MANAGE, proof, body.device)
        change = self._devices.register(admitted, body.device, body.public_key)
        return self._changed(admitted, change)

    def devices(self, proof: Proof) -> DevicesAnswer:
        """The caller's devices."""
        admitted = self._admit("list", MANAGE, proof)
        return DevicesAnswer(
            devices=[_device(registration, admitted) for registration in self._devices.of(admitted)],
            limit=self._settings.document.devices_per_user,
            tunnel=self._tunnel(admitted.user),
        )

    def renew(self, device: DeviceInPath, proof: Proof) -> DeviceAnswer:
        """Begin another life of a device, from half of its life on; key and addresses stay."""
        admitted = self._admit("renew", RENEW, proof, device)
        return self._changed(admitted, self._devices.renew(admitted, device))

    def rotate(self, device: DeviceInPath, body: Annotated[NewKey, Body()], proof: Proof) -> DeviceAnswer:
        """Give a device another key; addresses and expiry stay."""
        admitted = self._admit("rotate", MANAGE, proof, device)
        return self._changed(admitted, self._devices.rotate(admitted, device, body.public_key))

    def remove(self, device: DeviceInPath, proof: Proof) -> RemovedAnswer:
        """Remove a device; its addresses rest, its key stays the caller's."""
        admitted = self._admit("remove", MANAGE, proof, device)
        removed = self._devices.remove(admitted, device)
        return RemovedAnswer(device=_device(removed, admitted), in_force_from=self._committed())

    # -- what every route does

    def _admit(self, action: str, alias: str, proof: str, device: str | None = None) -> Admitted:
        """The caller, if the call came by the action's own URL, is proven (R14) and may have devices."""
        self._line.update(action=action, device=device)
        function, called = _function(self.app.lambda_context.invoked_function_arn)
        if called != alias:
            raise Refusal(403, "wrong_url", f"this URL doesn't {action}: use the function's {alias} URL")
        caller = iam_user(claimed_identity(self.app.current_event.raw_event))
        if caller.account_id not in self._settings.roles:
            raise Refusal(403, "account_not_served", f"users of account {caller.account_id} have no access to the VPN")
        prove(proof, caller.identity, function, self._settings.sts, self._http, self._clock())
        self._line.update(proven=True, user_name=caller.user_name)
        admitted = self._devices.admit(caller)
        if admitted.iam_error is not None:
            self._line["iam_error"] = admitted.iam_error
        return admitted

    def _changed(self, admitted: Admitted, change: Change) -> DeviceAnswer:
        within = self._settings.document.in_force_within
        return DeviceAnswer(
            device=_device(change.registration, admitted),
            tunnel=self._tunnel(admitted.user),
            in_force_from=self._committed() if change.changed else int(self._clock()) + within,
        )

    def _committed(self) -> int:
        """Start a reconcile; until when it is done at the latest. A lost message only makes it wait for the next."""
        self._line["changed"] = True
        try:
            self._notify()
        except AWSCallError as error:
            self._line["queue_error"] = str(error)
        return int(self._clock()) + self._settings.document.in_force_within

    def _tunnel(self, user: User) -> Tunnel:
        settings = self._settings
        return Tunnel(
            gateways=settings.document.gateways,
            networks=settings.networks(user),
            dns_servers=settings.dns_servers,
            domains=settings.document.domains,
        )

    # -- what isn't a success

    def _refused(self, refusal: Refusal) -> Response[str]:
        self._line["result"] = refusal.code
        body = ErrorAnswer(error=ErrorOut(code=refusal.code, message=refusal.message))
        return Response(refusal.status, _JSON, body.model_dump_json(), headers=refusal.headers)

    def _no_address(self, error: PoolError) -> Response[str]:
        self._line["error"] = str(error)
        return self._refused(Refusal(503, "no_address", "no address is left; tell the operators of the VPN"))

    def _aws_failed(self, error: AWSCallError) -> Response[str]:
        self._line["error"] = str(error)
        return self._refused(
            Refusal(503, "aws_unavailable", "AWS doesn't answer the function as it should; try again in a minute")
        )

    def _failed(self, error: Exception) -> Response[str]:
        self._line["error"] = "".join(traceback.format_exception(error))
        return self._refused(
            Refusal(500, "internal", f"the function failed; tell the operators: {self._line['request_id']}")
        )

    def _no_route(self) -> Refusal:
        path = self.app.current_event.path
        for pattern, methods in _METHODS:
            if pattern.fullmatch(path):
                return Refusal(405, "no_such_method", f"this path has only {methods}", {"Allow": methods})
        return Refusal(404, "no_such_path", "there is nothing at this path; begin with /devices")


def check_body(event: Mapping[str, Any]) -> None:
    """Refuse a body that is too large or isn't JSON, before anything parses it.

    :raises Refusal: as the name says.
    """
    body = event.get("body") or ""
    if len(body) > 4 * MAX_BODY:  # not even decoded
        raise _too_large()
    try:
        content = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError:
        raise _no_json() from None
    if len(content) > MAX_BODY:
        raise _too_large()
    if not content:
        return
    media_type = str((event.get("headers") or {}).get("content-type", _JSON)).partition(";")[0].strip().lower()
    if media_type != _JSON:
        raise Refusal(415, "not_json", f"the body must be {_JSON}")
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        raise _no_json() from None


def _too_large() -> Refusal:
    return Refusal(413, "body_too_large", f"the body has more than {MAX_BODY} bytes")


def _no_json() -> Refusal:
    return Refusal(400, "invalid_json", "the body isn't JSON in UTF-8")


def invalid(error: RequestValidationError) -> Refusal:
    """A code and a sentence for the first thing that is wrong; what was sent isn't repeated, it could be a secret."""
    first = error.errors()[0]
    where, kind = [str(part) for part in first["loc"]], first["type"]
    field = where[-1] if kind != "extra_forbidden" else ""
    if where[0] == "header":
        return Refusal(403, "proof_missing", "the call has no proof of identity; use the enroll playbook or script")
    if field == "device" and kind != "missing":
        return Refusal(
            400,
            "invalid_device",
            "the device name is refused; expected 1 to 32 lower-case letters, digits and hyphens",
        )
    if field == "public_key" and kind != "missing":
        said = str(first["msg"]).removeprefix("Value error, ") if kind == "value_error" else "it must be a string"
        return Refusal(400, "invalid_key", f"the public key is refused: {said}")
    if kind == "missing" and len(where) > 1:
        return Refusal(400, "invalid_request", f"the body lacks {field}")
    if kind == "extra_forbidden":
        return Refusal(400, "invalid_request", "the body has a field that isn't known here")
    return Refusal(400, "invalid_request", "the body must be an object with the fields that docs/self-service.md lists")


def _of_registry(error: RegistryError) -> Refusal:
    if error.code == "key_held":  # by whom is none of the caller's business
        return Refusal(409, "key_held", "another device has this public key; make a new one with `wg genkey`")
    if error.code == "device_limit":
        return Refusal(409, "device_limit", str(error))
    return Refusal(503, "collided", "too many others changed the registry at the same time; try again")


def _function(arn: str) -> tuple[str, str | None]:
    """The function's ARN without alias, and the alias."""
    parts = arn.split(":")
    return ":".join(parts[:7]), parts[7] if len(parts) > 7 else None


def _device(registration: Registration, admitted: Admitted) -> DeviceOut:
    return DeviceOut(
        device=registration.device,
        public_key=registration.public_key,
        addresses=list(registration.addresses),
        created_at=int(registration.created_at),
        expires_at=_seconds(registration.expires_at),
        renewable_from=_seconds(registration.renewable_from),
        handed_out=registration.handed_out,
        blocked=admitted.blocked.get(registration.device),
    )


def _seconds(time_: float | None) -> int | None:
    return None if time_ is None else int(time_)
