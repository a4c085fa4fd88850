#!/bin/sh
# configure_persistent_config.sh: creates the folder in which a virtual router keeps its configuration.
# uses: nothing    leaves: /etc/cloudstack/.keep
set -eu

install -d -m 0755 /etc/cloudstack
install -m 0644 /dev/null /etc/cloudstack/.keep
echo 'configure_persistent_config: /etc/cloudstack'
