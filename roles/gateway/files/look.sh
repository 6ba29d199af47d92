#!/bin/sh
# Prints what identifies the state of a tunnel's firewall, settings, addresses, routes and forwarding. It runs every few
# seconds, so it reads nothing that grows with the peers, such as the elements of sets; but wg tells of key, port and
# mark only with all peers, which are read once and left out.
#
#   look.sh INTERFACE
{
    nft -s -t list table inet "tracklib_vpn_$1"
    ip address show dev "$1"
    ip route show table all dev "$1"
    wg show "$1" dump | sed -n 1p
    cat /proc/sys/net/ipv4/ip_forward "/proc/sys/net/ipv4/conf/$1/forwarding" /proc/sys/net/ipv6/conf/all/forwarding
} 2>&1 | sha256sum
