# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Attempts to connect to TCP ports."""

from __future__ import annotations

import socket
from typing import NamedTuple


class PortAttempt(NamedTuple):
    """An attempt at a TCP connection; `detail` has the system's words where it failed."""

    address: str
    port: int
    open: bool
    detail: str = ""


def connect(address: str, port: int, timeout: float) -> PortAttempt:
    """Try a TCP connection, and end it at once.

    :param timeout: seconds.
    """
    try:
        socket.create_connection((address, port), timeout).close()
    except socket.timeout:
        return PortAttempt(address, port, open=False, detail=f"no answer within {timeout:g} s")
    except OSError as error:
        return PortAttempt(address, port, open=False, detail=error.strerror or str(error))
    return PortAttempt(address, port, open=True)
