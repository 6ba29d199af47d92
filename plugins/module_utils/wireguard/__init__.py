# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A WireGuard gateway's own side: read what is there, plan what to do, execute the plan.

    operations   apply, revoke, expire, start, reload: which locks are held while the following is done
    read         file, device, link, firewall's file and state, in one record
    bars         who may not be a peer by a word that came outside a run
    refusals     what of a roster a gateway refuses whatever the controller decided
    check        what of a roster can be checked before it is planned
    accept       what of a checked roster is applied, and whom it leaves out
    plan_*       pure: an order and what was read -> steps, the state afterwards, the report
    execute      one loop that does the steps of any plan

Runs on the gateway in two places, as the utilities of M(tracklib.vpn.wireguard_interface) and as the start, reload
and timer of `wg-quick@.service`, from one archive. So it needs Python 3.8 and its standard library, nothing else, and
knows neither AWS nor Ansible. Rule numbers (R1 to R20) are those of docs/architecture.md.
"""
