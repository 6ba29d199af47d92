# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Diagnoses of a name as text for people."""

from __future__ import annotations

import textwrap
from typing import Any, Iterator, Mapping, Sequence

from .diagnosis import StepStatus

_STATUS_WIDTH, _TITLE_WIDTH, _TEXT_WIDTH = 11, 17, 42  # characters


def table(diagnoses: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the steps of each diagnosis as lines: status, title and finding, and below a break what to do."""
    return [line for diagnosis in diagnoses for line in _diagnosis_lines(diagnosis)]


def _diagnosis_lines(diagnosis: Mapping[str, Any]) -> Iterator[str]:
    yield f"{diagnosis['name']} on {diagnosis['gateway']}"
    for step in diagnosis["steps"]:
        status = step["status"].replace("_", " ")
        if step["status"] == StepStatus.BROKEN.value:
            status = "BROKEN"
        yield from _row(status, step["title"], step["finding"])
        if step["action"] is not None:
            yield from _row("", "what to do", step["action"])


def _row(status: str, title: str, text: str) -> Iterator[str]:
    margin = f"{status:{_STATUS_WIDTH}} {title:{_TITLE_WIDTH}} "
    for paragraph in text.splitlines() or [""]:
        for line in textwrap.wrap(paragraph, _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False) or [""]:
            yield (margin + line).rstrip()
            margin = " " * len(margin)


def breaks(diagnoses: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each step at which a diagnosis breaks, with its gateway and what to do."""
    return [
        f'{diagnosis["gateway"]}: {diagnosis["name"]} breaks at "{step["title"]}": {step["finding"]}. '
        f"What to do: {step['action']}"
        for diagnosis in diagnoses
        for step in diagnosis["steps"]
        if step["status"] == StepStatus.BROKEN.value
    ]
