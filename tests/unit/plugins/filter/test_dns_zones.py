# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.filter.dns_zones import dns_zones


def test_final_dot_and_upper_case_make_no_other_zone() -> None:
    assert dns_zones(["Internal.Example.", "internal.example"])["zones"] == ["internal.example"]


def test_zone_comes_before_the_one_that_it_lies_in() -> None:
    assert dns_zones(["b.example", "a.b.example", "c"])["zones"] == ["a.b.example", "b.example", "c"]


def test_name_of_254_characters_is_told_from_one_of_253() -> None:
    longest = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert dns_zones([longest, f"{longest}a"]) == {
        "zones": [longest],
        "unusable": [f"zone {longest[:40]}… has 254 characters; a DNS name has at most 253"],
    }


@pytest.mark.parametrize(
    "name", ["", ".", "a b", 'x" refuse\nforward-zone:', "*.example", "a..b", "example\n", "-a.example", "{{ x }}"]
)
def test_what_could_mean_something_to_a_configuration_is_left_out(name: str) -> None:
    found = dns_zones(["internal.example", name])
    assert found["zones"] == ["internal.example"]
    assert len(found["unusable"]) == 1
