# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is wrong with the variables that a playbook was given, by the options that it declares."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Callable

from ansible.module_utils.common.validation import check_type_bool, check_type_dict, check_type_int, check_type_list

from .files import file_to_write
from .model import DEVICE_NAME, USER_NAME
from .timespan import seconds

_FORMATS = {
    "absolute_path": "/.*",
    "account_id": "[0-9]{12}",
    "device_name": DEVICE_NAME,
    "user_name": USER_NAME,
    "label": rf"\s*{USER_NAME}(/{DEVICE_NAME})?\s*",  # as read_whom() reads it
}
_ALIKE = 0.88  # of difflib's ratio: one or two letters of a name


def _check_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


_CHECKS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bool": (check_type_bool, "neither true nor false"),
    "dict": (check_type_dict, "not a dictionary"),
    "int": (check_type_int, "not a whole number"),
    "list": (check_type_list, "not a list"),
    "path": (_check_text, "not a text in quotes"),
    "raw": (lambda value: value, ""),
    "str": (_check_text, "not a text in quotes"),
}


def problems(
    given: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]], needed: Collection[str] = ()
) -> list[str]:
    """Return what is wrong with the variables `given`, each as a sentence of what is there and what is expected.

    Every name in `given` must be in `options`. An option has `description`, which says what is expected, and `type`;
    and optionally `required` (which those of `needed` are in any case), `choices`, `format` (a name in _FORMATS,
    time_span, life, or file_to_write), `range` (lowest and highest number), `needs` (variables that must be given with
    it), `needs_one_of` (variables of which exactly one must be given and not be false, unless the value itself is a
    device's label) and `options` (of a dictionary, or of each in a list). An empty text is as good as none: a form
    sends it where a field was left alone.
    """
    options = {name: {**option, "required": True} if name in needed else option for name, option in options.items()}
    return [*_unknown(given, options), *_wrong(given, options, "")]


def mistyped(names: Collection[str], known: Collection[str]) -> list[str]:
    """Return a sentence for each variable that nobody reads, and whose name is nearly one that somebody reads.

    :param names: of the variables that there are; what begins with another word than those of `known` is nobody's.
    :param known: the names that roles and playbooks read.
    """
    prefixes = tuple({f"{name.partition('_')[0]}_" for name in known})
    unknown = sorted({name for name in names if name.startswith(prefixes)} - set(known))
    nearest = {name: get_close_matches(name, known, n=1, cutoff=_ALIKE) for name in unknown}
    return [
        f"{name} is no variable of tracklib.vpn, and nearly {near[0]}: correct it, or, if it is your own, list it in "
        "vpn_own_variables"
        for name, near in nearest.items()
        if near
    ]


def _unknown(given: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name in sorted(given.keys() - options.keys()):
        yield f"{name} is no variable of this playbook, which has {', '.join(options) or 'none'}"


def _wrong(given: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]], within: str) -> Iterator[str]:
    for name, option in options.items():
        if given.get(name) in (None, ""):
            if option.get("required", False):
                is_there = "empty" if name in given else "not set"
                yield f"{within}{name} is {is_there}, expected {option['description']}"
            continue
        for needed in option.get("needs", []):
            if given.get(needed) in (None, ""):
                yield f"{within}{name} is set, and {needed} is not: expected {options[needed]['description']}"
        yield from _wrong_value(within + name, given[name], option)
        if "needs_one_of" in option:
            yield from _wrong_choice(name, given, option["needs_one_of"], options)
        elif option.get("format") == "label":
            yield from _two_devices(name, given)


def _two_devices(name: str, given: Mapping[str, Any]) -> Iterator[str]:
    """Refuse a label beside another device."""
    apart, label = name.replace("user_name", "device"), str(given[name])
    if apart != name and "/" in label and given.get(apart):
        yield f"{name} is the label {label}, and {apart} is {given[apart]}: expected one of them"


def _wrong_choice(
    name: str, given: Mapping[str, Any], names: Sequence[str], options: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Refuse an order that doesn't say how far it goes, or says it twice: leaving something out never means all."""
    chosen = [each for each in names if _is_given(given.get(each), options[each])]
    if "/" in str(given[name]):
        chosen.insert(0, f"the label {given[name]}")
    if not chosen:
        ways = ", or ".join(f"{each} ({options[each]['description']})" for each in names)
        yield f"{name} is set, and not what of {given[name]} is meant: expected {ways}"
    if len(chosen) > 1:
        yield f"{' and '.join(chosen)} are given, expected one of them"


def _is_given(value: Any, option: Mapping[str, Any]) -> bool:
    """Tell whether a variable says anything. What isn't a value of its type does: _wrong_value() refuses it."""
    if value in (None, "") or option["type"] != "bool":
        return value not in (None, "")
    try:
        return bool(check_type_bool(value))
    except TypeError:
        return True


def _wrong_value(name: str, value: Any, option: Mapping[str, Any]) -> Iterator[str]:
    convert, otherwise = _CHECKS[option["type"]]
    try:
        converted = convert(value)
    except (TypeError, ValueError):
        # a list or dictionary in place of a text may hold a key or a whole file (R10, secrets stay home)
        kind = "a dictionary" if isinstance(value, Mapping) else "a list"
        found = value if isinstance(value, (str, int, float)) else kind
        yield f"{name} is {found}, {otherwise}; expected {option['description']}"
        return
    if option.get("format") in ("life", "time_span"):
        if option["format"] == "time_span" or converted != "never":
            yield from _no_time_span(name, converted)
    elif option.get("format") == "file_to_write":
        yield from _no_file_to_write(name, converted)
    elif not _fits(converted, option):
        yield f"{name} is {value}{_foreign_letter(str(value))}, expected {option['description']}"
    if "options" not in option:
        return
    if option["type"] == "list":
        each = {"description": option["description"], "type": "dict", "options": option["options"]}
        for index, element in enumerate(converted):
            yield from _wrong_value(f"{name}[{index}]", element, each)
    else:
        yield from _wrong(converted, option["options"], f"{name}.")


def _foreign_letter(value: str) -> str:
    """Name the first letter that only looks like one of ASCII, or can't be seen."""
    found = next((letter for letter in value if not letter.isascii()), None)
    if found is None:
        return ""
    name = unicodedata.name(found, "without a name")
    return f", whose letter {value.index(found) + 1} is U+{ord(found):04X} ({name})"


def _no_time_span(name: str, text: str) -> Iterator[str]:
    try:
        seconds(name, text)
    except ValueError as error:
        yield str(error)


def _no_file_to_write(name: str, path: str) -> Iterator[str]:
    try:
        file_to_write(path)
    except ValueError as error:
        yield f"{name}: {error}"


def _fits(value: Any, option: Mapping[str, Any]) -> bool:
    if "choices" in option and value not in option["choices"]:
        return False
    form = option.get("format")
    if form is not None and re.fullmatch(_FORMATS[form], str(value)) is None:
        return False
    if "range" in option:
        lowest, highest = option["range"]
        return bool(lowest <= value <= highest)
    return True
