# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A registry's items written into another table."""

from __future__ import annotations

import math
from typing import Callable, Sequence

from .dynamodb import Item, RegistryError, Table
from .items import counts

IDENTITY = ("registry", "identity")


def restore(table: Table, items: Sequence[Item], clock: Callable[[], float], *, check_mode: bool) -> int:
    """Write items into an empty table, or into one that an interrupted call with the same items left.

    :returns: how many weren't there.
    :raises RegistryError: the table holds something else.
    """
    missing = _missing(table, items, "nothing was written; import into a new, empty table")
    if missing and not check_mode:
        # registrations last: without all blocks and tombstones they could let in a user who is revoked
        table.write_all([item for item in missing if item["pk"] != "registration"])
        table.write_all([item for item in missing if item["pk"] == "registration"])
        lost = _missing(table, items, "something writes to it meanwhile; stop that, and import into a new table")
        if any(item.get("ttl", math.inf) > clock() for item in lost):  # DynamoDB may delete others at once
            raise RegistryError(f"{len(lost)} items aren't in table {table.name} after all; run it again")
    return len(missing)


def _missing(table: Table, items: Sequence[Item], advice: str) -> list[Item]:
    """List the items that the table doesn't have. The identity that `deploy` gave it yields to the items' own.

    :raises RegistryError: the table has others.
    """
    wanted = {(item["pk"], item["sk"]): item for item in items}
    present = {(item["pk"], item["sk"]): item for item in table.scan()}
    others = [item for key, item in present.items() if item != wanted.get(key) and key != IDENTITY]
    if others:
        kinds = ", ".join(f"{kind}: {count}" for kind, count in counts(others).items())
        raise RegistryError(f"table {table.name} holds items that the import doesn't have ({kinds}): {advice}")
    return [item for key, item in wanted.items() if item != present.get(key)]
