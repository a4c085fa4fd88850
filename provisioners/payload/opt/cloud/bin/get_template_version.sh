#!/bin/sh
# get_template_version.sh: prints "<release>&<signature>" once the machine is up. The management server asks this first.
# uses: /var/cache/cloud/boot_up_done, WAIT_SECONDS    leaves: nothing
set -eu

# Another root is for tests.
root=${SYSTEMVM_ROOT:-}
left=${WAIT_SECONDS:-240}
while [ ! -e "$root/var/cache/cloud/boot_up_done" ]; do
  if [ "$left" -le 0 ]; then
    echo 'get_template_version: the machine is not up: /var/log/cloud.log says why' >&2
    exit 1
  fi
  left=$((left - 1))
  sleep 1
done

read -r release <"$root/etc/cloudstack-release"
read -r signature <"$root/var/cache/cloud/cloud-scripts-signature"
[ -n "$release" ] && [ -n "$signature" ]
echo "$release&$signature"
