#!/bin/sh
# configure_conntrack.sh: connection tracking helpers loaded at boot, and a conntrackd without a log file.
# uses: MODULES (by spaces)    leaves: /etc/modules-load.d/systemvm-conntrack.conf, /etc/conntrackd/conntrackd.conf
set -eu
: "${MODULES:?}"

# Rotating the log restarts conntrackd, and so starts it on routers that are not redundant. The file has no drop-ins.
sed -i '/^Stats/,/^}/ s/LogFile on/LogFile off/' /etc/conntrackd/conntrackd.conf
rm -f /var/log/conntrackd-stats.log

# shellcheck disable=SC2086 # one line per word
printf '%s\n' $MODULES >/etc/modules-load.d/systemvm-conntrack.conf
echo "configure_conntrack: $MODULES"

if grep -Eq '^[[:space:]]*LogFile[[:space:]]+on' /etc/conntrackd/conntrackd.conf; then
  echo 'configure_conntrack: conntrackd still has a log file' >&2
  exit 1
fi
# A module that the kernel lacks would fail a unit at every boot.
for kernel in /lib/modules/*; do
  # shellcheck disable=SC2086 # a list of words
  modprobe --dry-run --set-version "${kernel##*/}" --all $MODULES
done
