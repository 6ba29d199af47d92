# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto's tables lack: the id that DynamoDB gives each table, which a restored or copied one doesn't share."""

from __future__ import annotations

import uuid
from typing import Any

from moto.dynamodb.models.table import Table

_as_moto_has_it = Table.describe


def _describe(self: Table, base_key: str = "TableDescription") -> dict[str, Any]:
    found = _as_moto_has_it(self, base_key)
    table_id = vars(self).setdefault("table_id", str(uuid.uuid4()))
    return {base_key: {**found[base_key], "TableId": table_id}}


def complete() -> None:
    """Put this in place of moto's, in this process."""
    Table.describe = _describe  # type: ignore[method-assign]  # that is the point
