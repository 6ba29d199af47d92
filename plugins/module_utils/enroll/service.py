# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The self-service function as its user meets it: found by the operators' settings, called with own credentials."""

from __future__ import annotations

import json
import pkgutil
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from . import function as self_service
from .credentials import mfa_credentials, user_credentials
from .device import Enrollment, checked, ensure_absent, ensure_present
from .function import Function, SelfServiceError
from .machine import MachineError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

SETTINGS = "settings.json"  # in the script itself, put there when it was packed


class SelfService(NamedTuple):
    """The function, by whom it is called, and what it said first."""

    credentials: ReadOnlyCredentials
    function: Function
    listed: dict[str, Any]  # devices and tunnel
    sign_in: Callable[[], ReadOnlyCredentials] | None = None  # by MFA; None where nobody can be asked

    @property
    def keys(self) -> dict[str, str]:
        """The public keys of the user's devices, by name."""
        return {device["device"]: device["public_key"] for device in self.listed["devices"]}

    def present(self, device: str, public_key: str, *, rotate: bool = False) -> Enrollment:
        """Register or renew a device, see ensure_present(); who must authenticate again is asked for an MFA code."""
        try:
            return ensure_present(self.credentials, self.function, self.listed, device, public_key, rotate=rotate)
        except SelfServiceError as error:
            if error.code != "authenticate_again" or self.sign_in is None:
                raise
        credentials = self.sign_in()
        listed = self_service.devices(credentials, self.function)
        return ensure_present(credentials, self.function, listed, device, public_key, rotate=rotate)

    def absent(self, device: str) -> Enrollment:
        """Remove a device, see ensure_absent()."""
        return ensure_absent(self.credentials, self.function, self.listed, device)


def ask(settings_file: str | None, profile: str | None, ask_code: Callable[[str], str] | None) -> SelfService:
    """Ask the function what it has of the user.

    :param settings_file: what the operators gave; None for the script's own.
    :param ask_code: shows a question, and returns the code of the user's MFA device; None where nobody can be asked.
    :raises SelfServiceError: the function refused, or can't be reached.
    """
    settings = settings_of(settings_file)
    urls = (settings["function_arn"], settings["manage_url"], settings["renew_url"], settings.get("sts_url"))
    session = _session(profile)
    function = checked(Function(*urls, verify=session.get_config_variable("ca_bundle") or True))
    credentials = user_credentials(session)
    service = SelfService(credentials, function, self_service.devices(credentials, function))
    if ask_code is None:
        return service
    return service._replace(sign_in=partial(mfa_credentials, session, function.region, function.sts_url, ask_code))


def _session(profile: str | None) -> Any:
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        raise MachineError(
            "botocore is missing; install it (Debian, Ubuntu: sudo apt install python3-boto3; or: pip install boto3)"
        ) from None
    session = Session(profile=profile)
    try:
        session.get_scoped_config()
    except BotoCoreError as error:
        raise MachineError(f"{error}; see ~/.aws/config and ~/.aws/credentials") from None
    return session


def settings_of(path: str | None) -> dict[str, Any]:
    """What the operators set, from a file or from the script itself: as the playbook's variable vpn_self_service."""
    if path is not None:
        with open(path, "rb") as file:
            text: bytes | None = file.read()
    else:
        try:
            text = pkgutil.get_data(__package__, SETTINGS)
        except OSError:
            text = None
    if text is None:
        raise ValueError("no settings; give the file that the operators of the VPN gave you with --settings FILE")
    try:
        settings: dict[str, Any] = json.loads(text)["vpn_self_service"]
        missing = {"function_arn", "manage_url", "renew_url"} - set(settings)
    except (ValueError, KeyError, TypeError):
        missing = {"vpn_self_service"}
    if missing:
        raise ValueError(f"the settings lack {', '.join(sorted(missing))}; ask the operators of the VPN for their file")
    return settings
