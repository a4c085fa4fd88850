#!/bin/sh
# configure_login.sh: creates an administrative account with six commands, and leaves no password that anyone knows.
# uses: ROOT_PASSWORD_HASH, ACCOUNT, ACCOUNT_FULL_NAME, ACCOUNT_GROUPS (by commas)    leaves: /etc/sudoers.d/systemvm, /etc/udev/rules.d/70-hvc0-getty.rules, /home/$ACCOUNT/.ssh
set -eu
: "${ROOT_PASSWORD_HASH:?}" "${ACCOUNT:?}" "${ACCOUNT_FULL_NAME?}" "${ACCOUNT_GROUPS:?}"

# usermod would also stamp an unchanged password with today's date.
set_password_hash() {
  entry=$(getent shadow "$1")
  entry=${entry#*:}
  [ "${entry%%:*}" = "$2" ] || usermod --password "$2" "$1"
}

for group in $(echo "$ACCOUNT_GROUPS" | tr , ' '); do
  getent group "$group" >/dev/null || groupadd --system "$group"
done
if ! getent passwd "$ACCOUNT" >/dev/null; then
  useradd --create-home --user-group --shell /bin/bash "$ACCOUNT"
fi
usermod --comment "$ACCOUNT_FULL_NAME" --append --groups "$ACCOUNT_GROUPS" "$ACCOUNT"
set_password_hash "$ACCOUNT" '*'
set_password_hash root "$ROOT_PASSWORD_HASH"
install -d -m 0700 -o "$ACCOUNT" -g "$ACCOUNT" "/home/$ACCOUNT/.ssh"
echo "configure_login: $ACCOUNT in $ACCOUNT_GROUPS"

# CloudStack needs these commands. Checked before they take effect: with a broken file here, sudo works for no one.
draft=$(mktemp)
trap 'rm -f "$draft"' EXIT
cat >"$draft" <<END
Cmnd_Alias SYSTEMVM = /bin/chmod, /bin/cp, /bin/mkdir, /bin/mount, /bin/umount, /sbin/halt
%admin ALL=(root) NOPASSWD: SYSTEMVM
$ACCOUNT ALL=(root) NOPASSWD: SYSTEMVM
END
visudo --quiet --check --file="$draft"
install -m 0440 "$draft" /etc/sudoers.d/systemvm

# systemd-getty-generator starts a getty on each console that the kernel has by then. The driver of hvc0 may come later:
# its getty comes with the device. Enabled, it would hold up every boot without such a device for 90 seconds.
rm -f /etc/systemd/system/getty.target.wants/serial-getty@*.service
cat >/etc/udev/rules.d/70-hvc0-getty.rules <<'END'
SUBSYSTEM=="tty", KERNEL=="hvc0", TAG+="systemd", ENV{SYSTEMD_WANTS}+="serial-getty@hvc0.service"
END

visudo --quiet --check
sudo --list --other-user="$ACCOUNT" >/dev/null
[ -e /lib/systemd/system-generators/systemd-getty-generator ]
# Accounts whose password is neither locked nor the one that was asked for.
open=$(awk -F: -v hash="$ROOT_PASSWORD_HASH" '$2 !~ /^[!*]/ && !($1 == "root" && $2 == hash) { print $1 }' /etc/shadow)
[ -z "$open" ] || { echo "configure_login: a password opens $open" >&2; exit 1; }
