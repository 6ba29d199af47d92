# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.names.diagnosis_text import breaks, table


def step(status: str, title: str, finding: str, action: str | None = None) -> dict[str, Any]:
    return {"step": title, "status": status, "title": title, "finding": finding, "action": action}


BROKEN: dict[str, Any] = {
    "name": "api.internal.example",
    "gateway": "gateway-1",
    "steps": [
        step("ok", "zone exists", "internal.example (Z0123456789ABCDEFGHIJ) is a private hosted zone"),
        step("broken", "forwarder answers", "10.44.0.1 can't be reached", "run site"),
        step("not_checked", "within routes", "comes after the break"),
    ],
}
WHOLE: dict[str, Any] = {**BROKEN, "gateway": "gateway-2", "steps": BROKEN["steps"][:1]}


def test_steps_are_a_table_with_what_to_do_below_the_break() -> None:
    assert table([BROKEN]) == [
        "api.internal.example on gateway-1",
        "ok          zone exists       internal.example (Z0123456789ABCDEFGHIJ)",
        "                              is a private hosted zone",
        "BROKEN      forwarder answers 10.44.0.1 can't be reached",
        "            what to do        run site",
        "not checked within routes     comes after the break",
    ]


def test_each_gateway_has_its_own_table() -> None:
    assert [line for line in table([BROKEN, WHOLE]) if " on " in line] == [
        "api.internal.example on gateway-1",
        "api.internal.example on gateway-2",
    ]


def test_breaks_are_sentences_with_gateway_and_action() -> None:
    (sentence,) = breaks([WHOLE, BROKEN])
    found = 'gateway-1: api.internal.example breaks at "forwarder answers": 10.44.0.1 can\'t be reached.'
    assert sentence == f"{found} What to do: run site"
