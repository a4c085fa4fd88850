#!/bin/sh
# customize.sh: makes a fresh Debian tree a machine of ours: names, accounts, file systems to mount, and no identity.
# uses: ROOT (the tree), FSTAB, HOSTNAME_SHORT, DOMAIN, TIMEZONE, LOCALE, KEYBOARD, ACCOUNT_NAME, ACCOUNT_FULL_NAME, ACCOUNT_GROUPS, SOURCES
# leaves: /etc/fstab, /etc/hostname, /etc/hosts, /etc/localtime, the account, /usr/sbin/policy-rc.d, an empty /etc/machine-id
set -eu
: "${ROOT:?}" "${FSTAB:?}" "${HOSTNAME_SHORT:?}" "${DOMAIN:?}" "${TIMEZONE:?}" "${LOCALE:?}" "${KEYBOARD:?}" "${ACCOUNT_NAME:?}" "${SOURCES:?}"

printf '%s' "$FSTAB" >"$ROOT/etc/fstab"
printf '%s\n' "$HOSTNAME_SHORT" >"$ROOT/etc/hostname"
cat >"$ROOT/etc/hosts" <<END
127.0.0.1	localhost
127.0.1.1	$HOSTNAME_SHORT.$DOMAIN $HOSTNAME_SHORT
::1	localhost ip6-localhost ip6-loopback
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
END
rm -f "$ROOT/etc/resolv.conf"
printf '# Written when the machine learns its name servers.\n' >"$ROOT/etc/resolv.conf"
ln -sfn "/usr/share/zoneinfo/$TIMEZONE" "$ROOT/etc/localtime"
printf '%s\n' "$TIMEZONE" >"$ROOT/etc/timezone"
printf 'XKBMODEL="pc105"\nXKBLAYOUT="%s"\nXKBVARIANT=""\nXKBOPTIONS=""\nBACKSPACE="guess"\n' "$KEYBOARD" \
  >"$ROOT/etc/default/keyboard"

if [ -x "$ROOT/usr/sbin/locale-gen" ]; then
  printf '%s UTF-8\n' "$LOCALE" >"$ROOT/etc/locale.gen"
  chroot "$ROOT" locale-gen >/dev/null
fi

# One file of sources, under the name that Debian's own installer uses.
rm -f "$ROOT/etc/apt/sources.list" "$ROOT"/etc/apt/sources.list.d/*
printf '%s' "$SOURCES" >"$ROOT/etc/apt/sources.list.d/debian.sources"

# Made here in a second, and kept by the guest's apt as long as the mirror serves nothing newer; there it takes ten.
chroot "$ROOT" apt-cache gencaches >/dev/null

# Neither account has a password: * and ! match none.
chroot "$ROOT" usermod --password '*' root
if ! chroot "$ROOT" getent passwd "$ACCOUNT_NAME" >/dev/null; then
  for group in ${ACCOUNT_GROUPS:-}; do
    chroot "$ROOT" getent group "$group" >/dev/null || chroot "$ROOT" groupadd --system "$group"
  done
  chroot "$ROOT" useradd --create-home --shell /bin/bash --user-group --comment "${ACCOUNT_FULL_NAME:-}" \
    --password '!' --groups "$(printf '%s' "${ACCOUNT_GROUPS:-}" | tr ' ' ',')" "$ACCOUNT_NAME"
fi

# No daemon starts while the image is built; the last stages take this away again.
printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
chmod 0755 "$ROOT/usr/sbin/policy-rc.d"

# What makes one machine different from another is made at its first boot.
rm -f "$ROOT"/etc/ssh/ssh_host_*_key "$ROOT"/etc/ssh/ssh_host_*_key.pub
rm -f "$ROOT/var/lib/dbus/machine-id" "$ROOT/var/lib/systemd/random-seed"
: >"$ROOT/etc/machine-id"

# systemd takes these as the date of its last update of hwdb, catalog and users, which dpkg has made.
touch -r "$ROOT/usr" "$ROOT/etc/.updated" "$ROOT/var/.updated"

[ ! -s "$ROOT/etc/machine-id" ]
if [ ! -f "$ROOT/usr/share/zoneinfo/$TIMEZONE" ]; then
  echo "customize: tzdata of this suite has no time zone $TIMEZONE" >&2
  exit 1
fi
chroot "$ROOT" getent passwd "$ACCOUNT_NAME" >/dev/null
