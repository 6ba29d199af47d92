# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The page of `enroll web`: a user's devices in a browser, for apps, phones, and people without root.

A server on this machine's loopback, for one user and one browser: who doesn't send the token of its address gets
nothing, be it another user of the machine or a page of somebody else's (R10, secrets stay home; R14, callers prove who
they are). The standard library alone.
"""

from __future__ import annotations

import base64
import hmac
import http.server
import json
import os
import pkgutil
import secrets
import shutil
import sys
import tempfile
import threading
import time
import webbrowser
from http import HTTPStatus
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple
from urllib.parse import parse_qs

from ..client.config import render
from ..client.qr import QrError, is_possible, qr_code
from .device import Enrollment, life, utc
from .function import SelfServiceError
from .machine import MachineError, new_key
from .service import SelfService
from .tunnel import app_tunnel, longest, names_left_out

_PAGE = "page.html"
_MOST = 10_000  # bytes of a wish
_PATIENCE = 30  # seconds for a browser to send one
_IDLE = 1800  # seconds without a wish after which the server ends
_NONCE = b"@nonce@"
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# asks the function what it has of the user; given what asks for the code of an MFA device, or None
Ask = Callable[[Any], SelfService]


class Devices(NamedTuple):
    """What the page can wish for; each takes a wish's fields and returns what the page shows."""

    ask: Ask

    def listed(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """List the devices, and what there is to choose from."""
        said = self._service(wish).listed
        tunnel, now = said["tunnel"], time.time()
        return {
            "devices": [_shown(device, now) for device in said["devices"]],
            "limit": said["limit"],
            "networks": tunnel["networks"],
            "domains": tunnel["domains"],
            "gateways": [gateway["endpoint"] for gateway in tunnel["gateways"]],
            "draws_codes": is_possible(),
        }

    def made(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Register a device with a key that is made here, and sent to the page once."""
        private_key, public_key = new_key()
        return self._registered(wish, public_key, private_key)

    def registered(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Register a device with the public key that an app shows."""
        return self._registered(wish, str(wish["public_key"]).strip())

    def renewed(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Renew a device."""
        service = self._service(wish)
        return {"message": _message(wish, service.present(wish["device"], _key_of(service, wish)))}

    def shown(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Show what an app that has a device's key needs besides, as it is today."""
        service = self._service(wish)
        _key_of(service, wish)
        device = next(each for each in service.listed["devices"] if each["device"] == wish["device"])
        enrollment = Enrollment(device, device, (), False, None, service.listed["tunnel"], [])
        return {**_configuration(wish, enrollment), "message": _message(wish, enrollment)}

    def removed(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Remove a device."""
        return {"message": _message(wish, self._service(wish).absent(wish["device"]))}

    def _registered(self, wish: Mapping[str, Any], public_key: str, private_key: str = "") -> dict[str, Any]:
        service = self._service(wish)
        _configuration(wish, longest(service.listed))  # what is wrong with the choices costs no registration
        enrollment = service.present(wish["device"], public_key, rotate=bool(wish.get("replace")))
        return {**_configuration(wish, enrollment, private_key), "message": _message(wish, enrollment)}

    def _service(self, wish: Mapping[str, Any]) -> SelfService:
        codes = [str(wish["code"])] if wish.get("code") else []

        def ask_code(question: str) -> str:
            if not codes:
                raise SelfServiceError(f"That code wasn't taken: {question}", "code_refused")
            return codes.pop()

        return self.ask(ask_code if codes else None)


def _message(wish: Mapping[str, Any], enrollment: Enrollment) -> str:
    message = f"Device {wish['device']}: {enrollment.done}"
    if enrollment.device is not None:
        message += f"; {life(enrollment.device)}"
    if enrollment.in_force_from is not None:
        message += f". The gateways know by {utc(enrollment.in_force_from)}"
    return f"{message}."


def _key_of(service: SelfService, wish: Mapping[str, Any]) -> str:
    try:
        return service.keys[wish["device"]]
    except KeyError:
        raise ValueError(
            f"you have no device {wish['device']}; yours are {', '.join(service.keys) or 'none'}"
        ) from None


def _shown(device: Mapping[str, Any], now: float) -> dict[str, Any]:
    renewable_from = device["renewable_from"]
    return {
        "device": device["device"],
        "addresses": device["addresses"],
        "life": life(device),
        "days": None if device["expires_at"] is None else (device["expires_at"] - now) / 86400,
        "is_renewable": renewable_from is not None and renewable_from <= now,
        "blocked": device["blocked"],
    }


def _configuration(wish: Mapping[str, Any], enrollment: Enrollment, private_key: str = "") -> dict[str, Any]:
    """Write the configuration; as a QR code, too, if it holds a key."""
    excluded = str(wish.get("excluded") or "").replace(",", " ").split()
    tunnel = app_tunnel(enrollment, wish.get("gateway") or None, None, excluded)
    text = render(tunnel, private_key=private_key)
    made = {"configuration": text, "has_key": bool(private_key), "note": names_left_out(tunnel), "code": None}
    if private_key and is_possible():
        try:
            made["code"] = base64.b64encode(qr_code(text, ".svg")).decode()
        except QrError as error:
            made["note"] = str(error)
    return made


class Page(http.server.ThreadingHTTPServer):
    """The server of one page. `address` is what the browser opens; it holds the token."""

    daemon_threads = True

    def __init__(self, ask: Ask, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Browser)
        devices = Devices(ask)
        self.wishes: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "/devices": devices.listed,
            "/make": devices.made,
            "/register": devices.registered,
            "/renew": devices.renewed,
            "/show": devices.shown,
            "/remove": devices.removed,
            "/close": self._closed,
        }
        self.token = secrets.token_urlsafe(32)
        self.host = f"127.0.0.1:{self.server_port}"
        self.address = f"http://{self.host}/?token={self.token}"
        self.last = time.monotonic()
        self.one_at_a_time = threading.Lock()  # held until the answer is sent
        self.is_open = threading.Event()
        self._ends = threading.Event()

    def serve(self) -> None:
        """Serve until the page is closed, or nobody has wished for anything in half an hour."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        try:
            while not self._ends.wait(1) and time.monotonic() - self.last < _IDLE:
                pass
        finally:
            self.is_open.set()  # nobody needs to wait for a browser any more
            with self.one_at_a_time:  # a registration that is under way has a key to show
                self.shutdown()
                self.server_close()

    def _closed(self, _wish: Mapping[str, Any]) -> dict[str, Any]:
        self._ends.set()
        return {"message": "closed; this tab can go"}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break: a browser that is reloaded, a stranger's nonsense."""

    def knows(self, token: str) -> bool:
        """Tell whether it is the token, in the same time whatever is wrong with it."""
        return hmac.compare_digest(token.encode(), self.token.encode())


class _Browser(http.server.BaseHTTPRequestHandler):
    """One connection; nothing is answered to who isn't the user's browser on this very page."""

    server: Page
    timeout = _PATIENCE
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "enroll", ""

    def do_GET(self) -> None:
        """The page itself."""
        path, query = [*self.path.split("?", maxsplit=1), ""][:2]
        if not self._is_ours() or path != "/" or not self.server.knows(parse_qs(query).get("token", [""])[0]):
            self._refuse()
            return
        self.server.is_open.set()
        nonce = secrets.token_urlsafe(16)
        page = pkgutil.get_data(__package__, _PAGE) or b""
        policy = {"Content-Security-Policy": _POLICY.format(nonce=nonce)}
        self._answer(HTTPStatus.OK, "text/html; charset=utf-8", page.replace(_NONCE, nonce.encode()), policy)

    def do_POST(self) -> None:
        """A wish of the page."""
        wish_for, size = self.server.wishes.get(self.path), self.headers.get("Content-Length", "")
        is_from_page = self.headers.get("Origin") == f"http://{self.server.host}"
        is_known = self.server.knows(self.headers.get("X-Token", ""))
        if not (self._is_ours() and is_from_page and is_known and wish_for and size.isdigit() and int(size) <= _MOST):
            self._refuse()
            return
        content = self.rfile.read(int(size))
        with self.server.one_at_a_time:
            self.server.last = time.monotonic()
            self._answer(HTTPStatus.OK, "application/json", json.dumps(_granted(wish_for, content)).encode())

    def _is_ours(self) -> bool:
        """Whether the browser means this server: a name of somebody else's could lead here, too (DNS rebinding)."""
        return self.headers.get("Host") == self.server.host

    def _refuse(self) -> None:
        text = "This page is of the terminal that started it: open the address that is printed there.\n"
        self._answer(HTTPStatus.FORBIDDEN, "text/plain; charset=utf-8", text.encode(), {"Connection": "close"})

    def _answer(self, status: HTTPStatus, kind: str, content: bytes, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content)), **(more or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Write nothing: addresses hold the token."""


def _granted(wish_for: Callable[[Mapping[str, Any]], dict[str, Any]], content: bytes) -> dict[str, Any]:
    try:
        wish = json.loads(content)
        return {"error": None, **wish_for(wish)}
    except SelfServiceError as error:
        return {"error": {"code": error.code, "message": str(error)}}
    except (MachineError, OSError, ValueError) as error:
        return {"error": {"code": "machine", "message": str(error)}}
    except Exception as error:  # noqa: BLE001 - the page has to say something, or it seems that nobody is there
        return {"error": {"code": "machine", "message": f"that failed in a way that isn't expected: {error!r}"}}


def open_in_browser(page: Page) -> None:
    """Have the user's browser open the page, where there is a desktop.

    Other users of the machine see what programs are started with. So the browser is given a file of the user's own,
    which leads on; it lies in the home directory, since browsers in a sandbox see no other.
    """
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        return  # a browser for terminals would take this one
    try:
        directory = Path(tempfile.mkdtemp(prefix="tracklib-vpn-", dir=Path.home()))
    except OSError:
        return  # the address is printed, too
    try:
        file = directory / "open.html"
        file.touch(0o600)
        file.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={page.address}">', encoding="utf-8")
        if webbrowser.open(file.as_uri()):
            page.is_open.wait(_PATIENCE)
    finally:
        shutil.rmtree(directory)
