#!/bin/sh
# Prints what identifies the state of a tunnel's firewall, settings, addresses, routes and forwarding. It runs every few seconds,
# so it reads nothing that grows with the peers, such as the elements of sets.
#
#   look.sh INTERFACE
{
    nft -s -t list table inet "tracklib_vpn_$1"
    ip address show dev "$1"
    ip route show table all dev "$1"
    for setting in listen-port public-key fwmark; do wg show "$1" "$setting"; done
    cat /proc/sys/net/ipv4/ip_forward "/proc/sys/net/ipv4/conf/$1/forwarding" /proc/sys/net/ipv6/conf/all/forwarding
} 2>&1 | sha256sum
