# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Have the tests of a test_server.py run, and exit as they do: `test_client.py PORT`."""

from __future__ import annotations

import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    answer = connection.recv(1)
sys.exit(answer[0] if answer else "the tests ended without a result")
