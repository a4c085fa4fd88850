#!/bin/sh
# configure_conntrack.sh: loads connection tracking helpers at boot, and makes conntrackd restart when killed and keep no log file.
# uses: MODULES (by spaces)    leaves: /etc/modules-load.d/systemvm-conntrack.conf, /etc/conntrackd/conntrackd.conf, /etc/systemd/system/conntrackd.service.d/systemvm.conf
set -eu
: "${MODULES:?}"

# Rotating the log restarts conntrackd, and so starts it on routers that are not redundant. The file has no drop-ins.
sed -i '/^Stats/,/^}/ s/LogFile on/LogFile off/' /etc/conntrackd/conntrackd.conf
rm -f /var/log/conntrackd-stats.log

# A redundant router whose heartbeat stops kills its conntrackd with SIGKILL, by CloudStack's script. The lock that is left behind
# would keep conntrackd from ever starting again.
drop_in=/etc/systemd/system/conntrackd.service.d/systemvm.conf
mkdir -p "${drop_in%/*}"
printf '%s\n' '[Service]' 'ExecStartPre=-rm -f /run/lock/conntrackd.lock' >"$drop_in"

# shellcheck disable=SC2086 # one line per word
printf '%s\n' $MODULES >/etc/modules-load.d/systemvm-conntrack.conf
echo "configure_conntrack: $MODULES"

if grep -Eq '^[[:space:]]*LogFile[[:space:]]+on' /etc/conntrackd/conntrackd.conf; then
  echo 'configure_conntrack: conntrackd still has a log file' >&2
  exit 1
fi
# A unit that was loaded before is shown as it was then.
systemctl daemon-reload
if ! systemctl cat conntrackd.service | grep -q '^ExecStartPre=-rm '; then
  echo 'configure_conntrack: conntrackd would not start after it was killed' >&2
  exit 1
fi
# A module that the kernel lacks would fail a unit at every boot.
for kernel in /lib/modules/*; do
  # shellcheck disable=SC2086 # a list of words
  modprobe --dry-run --set-version "${kernel##*/}" --all $MODULES
done
