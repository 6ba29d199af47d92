# Runs once on a new lab host, as root, with the files beside it in /etc/lab.
# Prints the host's public key and the state of the system; everything else goes to standard error.
set -eu
install -d -o admin -g admin -m 0700 /home/admin/.ssh
install -o admin -g admin -m 0600 /etc/lab/authorized_keys /home/admin/.ssh/authorized_keys
# the lists are as fresh as the packages that the image caches, so apt has no need of a mirror to install those
touch /var/lib/apt/lists /var/lib/apt/lists/*Packages*
until [ -S /run/systemd/private ]; do sleep 0.1; done # systemd has just been started
files=$(for package in $PACKAGES; do echo "/var/cache/apt/archives/${package}"_*.deb; done)
[ -z "$files" ] || dpkg --install $files >&2 # needs a tenth of apt's time
for unit in /etc/lab/*.service; do
    [ -e "$unit" ] || continue
    cp "$unit" /etc/systemd/system/
    systemctl enable --quiet --now "$(basename "$unit")"
done
