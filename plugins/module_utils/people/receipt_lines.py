# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Receipts as people and programs read them. Pure: no AWS, no Ansible."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Callable, Container, Mapping, Sequence

from ..model import Receipt
from . import layout

_TIMES = ("deleted_at", "removed_at", "last_handshake")


def table(receipts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay out receipts, as the modules return them, for people; with the ids of users who have had one name."""
    ids: dict[str, set[str]] = {}
    for receipt in receipts:
        ids.setdefault(receipt["user_name"], set()).add(receipt.get("user_id", ""))
    namesakes = {name for name, of_name in ids.items() if len(of_name) > 1}
    rows = [_row(receipt, namesakes) for receipt in receipts]
    return layout.table(("REMOVED", "GATEWAY", "DEVICE", "DELAY", "WHY", "BY"), rows)


def json_lines(receipts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write receipts as one JSON document, with times as text."""
    return json.dumps([_readable(receipt) for receipt in receipts], indent=1).splitlines()


def csv_lines(receipts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write receipts as CSV with a heading; no spreadsheet takes a cell for a formula (R15, data is never code)."""
    names = [*Receipt._fields, "delay", "delay_in_run"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for receipt in receipts:
        writer.writerow({name: _inert(value) for name, value in _readable(receipt).items()})
    return text.getvalue().splitlines()


FORMATS: dict[str, Callable[[Sequence[Mapping[str, Any]]], list[str]]] = {
    "table": table,
    "json": json_lines,
    "csv": csv_lines,
}


def _readable(receipt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: layout.utc(value) if name in _TIMES and value is not None else value for name, value in receipt.items()
    }


def _row(receipt: Mapping[str, Any], namesakes: Container[str]) -> list[str]:
    delay, by = receipt["delay"], receipt.get("by")
    apart = f" ({receipt['user_id']})" if receipt["user_name"] in namesakes else ""
    return [
        layout.utc(receipt["removed_at"]),
        receipt["gateway"],
        f"{receipt['user_name']}/{receipt['device']}{apart}",
        "-" if delay is None else f"{delay} s",
        receipt.get("detail") or receipt["reason"],
        "-" if by is None else layout.caller(by),
    ]


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value
