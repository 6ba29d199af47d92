# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The bodies that the function takes and answers, as its OpenAPI description has them."""

from __future__ import annotations

from typing import Annotated, Any

from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import PROOF_HEADER
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import check_public_key
from ansible_collections.tracklib.vpn.plugins.module_utils.model import DEVICE_NAME, Registration
from aws_lambda_powertools.event_handler.openapi.params import Header, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .refusal import STATUS
from .settings import GatewayEndpoint

JSON = "application/json"
MAX_BODY = 4096  # bytes

# 32 bytes in base64, of which the highest bit and the two that don't count are zero
_PUBLIC_KEY = "[A-Za-z0-9+/]{41}[A-HQ-Xg-nw-z0-3][AEIMQUYcgkosw048]="


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
    renewable_from: Annotated[
        int | None,
        Field(description="From when on its user can renew it. Null: no end, or a fixed one."),
    ]
    fixed_end: Annotated[bool, Field(description="Operators set when it ends, and only they can move that.")]
    handed_out: Annotated[bool, Field(description="Its private key was made by an operator.")]
    blocked: Annotated[str | None, Field(description="Why it may not connect.")]


class Tunnel(BaseModel):
    """What a client's configuration needs beside key and addresses."""

    gateways: list[GatewayEndpoint]
    networks: Annotated[list[str], Field(description="What the user's groups may reach, in CIDR form.")]
    dns_servers: Annotated[list[str], Field(description="The gateway's addresses in the tunnel.")]
    domains: Annotated[list[str], Field(description="The private zones that these answer for.")]
    answers_other_names: Annotated[
        bool, Field(description="Whether these answer every other name, too, and a client may ask them for all.")
    ]
    mtu: Annotated[int, Field(description="The MTU of the gateways' interfaces, which the client's has, too.")]


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

    code: Annotated[str, Field(json_schema_extra={"enum": sorted(STATUS)})]
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


def responses(answer: type[BaseModel], *statuses: int) -> dict[int, Any]:
    """Describe what a route answers: `answer` with 200, errors with the other statuses."""
    described = {200: (" ".join((answer.__doc__ or "").split()), answer)}
    described.update({status: (_ERRORS[status], ErrorAnswer) for status in statuses})
    return {
        status: {"description": description, "content": {JSON: {"model": model}}}
        for status, (description, model) in described.items()
    }


def device_out(registration: Registration, renewable_from: float | None, blocked: str | None) -> DeviceOut:
    """Write a registration as it is answered; `blocked` is the reason, if there is one."""
    return DeviceOut(
        device=registration.device,
        public_key=registration.public_key,
        addresses=list(registration.addresses),
        created_at=int(registration.created_at),
        expires_at=_seconds(registration.expires_at),
        renewable_from=_seconds(renewable_from),
        fixed_end=registration.fixed_end,
        handed_out=registration.handed_out,
        blocked=blocked,
    )


def _seconds(time_: float | None) -> int | None:
    return None if time_ is None else int(time_)
