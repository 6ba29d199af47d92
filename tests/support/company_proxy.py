# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A company's proxy, which opens all TLS with certificates of the company's own."""

from __future__ import annotations

import http.client
import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from .waiting import PATIENCE

HOST = "function.lambda-url.example"  # no server of names knows it: only the proxy leads there


class CompanyProxy(NamedTuple):
    """What users of it are told, and what it saw."""

    url: str
    authority: Path  # the company's certificate
    asked: list[str]  # HOST:PORT that clients wanted


@contextmanager
def company_proxy(directory: Path, behind: str) -> Iterator[CompanyProxy]:
    """Run one.

    :param directory: where its certificates go.
    :param behind: the URL of what answers for HOST.
    """
    authority, certificate = _certificates(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    target = urlsplit(behind)
    asked: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):  # a client that doesn't trust the certificate goes
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                self.close_connection = False

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=PATIENCE)
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield CompanyProxy(f"http://127.0.0.1:{server.server_port}", authority, asked)
        server.shutdown()


def _certificates(directory: Path) -> tuple[Path, Path]:
    """Make an authority, and a certificate of it for HOST with its key."""
    authority, certificate = directory / "authority.pem", directory / "host.pem"
    made: list[str | Path] = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    key = directory / "authority.key"
    _run([*made, "-subj", "/CN=Company", "-keyout", key, "-out", authority])
    extensions: list[str | Path] = [
        "-addext",
        f"subjectAltName=DNS:{HOST}",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]
    signed: list[str | Path] = ["-CA", authority, "-CAkey", key, "-subj", f"/CN={HOST}"]
    _run([*made, *signed, *extensions, "-keyout", directory / "host.key", "-out", certificate])
    certificate.write_text(certificate.read_text() + (directory / "host.key").read_text())
    return authority, certificate


def _run(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, capture_output=True)
