# Writes the configuration of one of the lab's name servers: `nsd.sh NAME INTERFACE`. Its zones come from the feeder.
set -eu
directory=/run/lab-dns/$1
mkdir -p "$directory" "/etc/lab/zones/$1"
{
    echo 'server:'
    ip -oneline address show dev "$2" scope global | sed -E 's|.* inet6? ([^/]+)/.*|    ip-address: \1|'
    cat <<END
    username: ""
    zonesdir: "/etc/lab/zones/$1"
    database: ""
    pidfile: "$directory/nsd.pid"
    zonelistfile: "$directory/zone.list"
    xfrdfile: ""
    xfrdir: "$directory"
    rrl-ratelimit: 0
remote-control:
    control-enable: yes
    control-interface: $directory/control
include: "/etc/lab/zones/$1/*.conf"
END
} >"$directory/nsd.conf"
