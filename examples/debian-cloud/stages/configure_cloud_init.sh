#!/bin/sh
# configure_cloud_init.sh: sets up cloud-init, which takes name, keys and network from a seed, and grows the root.
# uses: SOURCES (by commas), ACCOUNT, ACCOUNT_FULL_NAME, ACCOUNT_GROUPS (by commas)    leaves: /etc/cloud/cloud.cfg.d/90-appliance.cfg, /etc/resolv.conf
set -eu
: "${SOURCES:?}" "${ACCOUNT:?}" "${ACCOUNT_FULL_NAME?}" "${ACCOUNT_GROUPS?}"

cat >/etc/cloud/cloud.cfg.d/90-appliance.cfg <<END
datasource_list: [$SOURCES]
# sudo looks up the name that the seed gives.
manage_etc_hosts: localhost
system_info:
  default_user:
    name: $ACCOUNT
    gecos: "$ACCOUNT_FULL_NAME"
    groups: [$ACCOUNT_GROUPS]
    lock_passwd: true
    shell: /bin/bash
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
  network:
    renderers: [networkd]
END

# cloud-init writes what networkd configures; without a seed, that is DHCP on the first interface.
systemctl --quiet --no-reload enable systemd-networkd.service systemd-resolved.service
ln -sfn ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf

echo "configure_cloud_init: seeds from $SOURCES, keys for $ACCOUNT"
python3 -c 'import sys, yaml; yaml.safe_load(sys.stdin)' </etc/cloud/cloud.cfg.d/90-appliance.cfg
command -v growpart >/dev/null
