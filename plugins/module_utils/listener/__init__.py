# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The fast way of a revocation: from a gateway's own queue to the device, within a second, and never an addition.

    message      what the dispatcher writes and a gateway reads: pure
    signature    AWS Signature Version 4 of one request: pure
    metadata     the credentials of the instance's role
    queue        receive and delete, by the JSON protocol of SQS
    listen       the service: waits for messages, and hands each to the planner of revocations

Runs on the gateway, and needs Python 3.8 and its standard library, nothing else: an SDK of 15,000 files, whose
dependencies parse much that comes from outside, has no place on the host that keeps the network's door.
"""
