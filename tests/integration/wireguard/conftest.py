# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.wireguard_host import Host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A gateway that nothing was done to yet."""
    made = Host(tmp_path)
    yield made
    made.close()
