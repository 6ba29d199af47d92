# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: listener_queue
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: The name of the queue in which a gateway's listener waits for revocations
description:
  - It belongs to the gateway's name in the inventory, so that an instance that takes another one's place takes its
    queue over.
  - A name that SQS takes is kept; in another one, other characters become V(-) and a digest follows.
options:
  _input:
    description: The gateway's name in the inventory.
    type: str
    required: true
  control_plane_name:
    description: The C(control_plane_name) of the role P(tracklib.vpn.control_plane#role), which makes the queue.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show a gateway's queue
  ansible.builtin.debug:
    msg: "{{ inventory_hostname | tracklib.vpn.listener_queue('tracklib-vpn') }}"
"""

RETURN = r"""
_value:
  description: The queue's name.
  type: str
"""

from typing import Callable


def listener_queue(gateway: str, control_plane_name: str) -> str:
    from ansible_collections.tracklib.vpn.plugins.module_utils.listener.queue import queue_name

    return queue_name(control_plane_name, gateway)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"listener_queue": listener_queue}
