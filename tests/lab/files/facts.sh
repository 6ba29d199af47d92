# Waits until a lab host has booted; prints the system's state, the failed units and the ssh host key.
until [ -S /run/dbus/system_bus_socket ]; do sleep 0.1; done
state=$(systemctl is-system-running --wait) # exits non-zero for any state but "running"
echo "state $state"
systemctl list-units --failed --plain --no-legend | sed 's/^/failed /'
for _ in $(seq 50); do
    [ -s /etc/ssh/ssh_host_ed25519_key.pub ] && break
    sleep 0.1
done
echo "key $(cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub)"
