#!/bin/sh
# network.sh: QEMU's user network on the first interface, without touching the guest's own configuration.
# uses: nothing    leaves: an address on eth0, a default route, /run/systemvm-build/dpkg-status
set -eu

# The link appears when udev has loaded its driver.
tries=600
while [ ! -e /sys/class/net/eth0 ]; do
  tries=$((tries - 1))
  if [ "$tries" -eq 0 ]; then
    echo 'systemvm-build: no interface eth0 appeared within 60 s' >&2
    exit 1
  fi
  sleep 0.1
done
ip link set lo up
ip link set eth0 up
ip address replace 10.0.2.15/24 dev eth0
ip route replace default via 10.0.2.2
# apt resolves names as a user of its own.
chmod 0644 /run/systemvm-build/resolv.conf
cp /var/lib/dpkg/status /run/systemvm-build/dpkg-status
echo 'systemvm-build: ready'
