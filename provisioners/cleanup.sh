#!/bin/sh
# cleanup.sh: removes what the build left: keys, identities, logs, caches, and documentation.
# uses: LANGUAGE_KEPT, SOURCE_DATE_EPOCH    leaves: an empty /etc/machine-id, the folders of /var/log and /usr/share/man
set -eu
: "${LANGUAGE_KEPT:?}" "${SOURCE_DATE_EPOCH:?}"

# What an installer brings along. Busybox stays: it is the initramfs's rescue shell.
# dpkg-query fails if one of them is unknown, which is what we hope for.
needless=$(dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' \
  dictionaries-common discover discover-data installation-report krb5-locales laptop-detect nano os-prober \
  popularity-contest sharutils task-english task-ssh-server tasksel tasksel-data unattended-upgrades \
  util-linux-locales wamerican 2>/dev/null) || :
needless=$(echo "$needless" | awk '$2 == "installed" { print $1 }')
if [ -n "$needless" ]; then
  # shellcheck disable=SC2086 # a list of words
  apt-get -qy --autoremove purge $needless
fi

echo 'cleanup: identities and secrets'
# Services stop first, because they write again when the guest powers off.
if [ -d /run/systemd/system ]; then
  systemctl stop systemd-random-seed.service
  journalctl --relinquish-var
fi
rm -f /etc/ssh/ssh_host_* /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
rm -rf /var/lib/dhcp/* /var/lib/dhcpcd/* /var/lib/cloud/* /etc/udev/rules.d/70-persistent-net.rules
[ ! -d /etc/ssl/certs ] || find /etc/ssl/certs -maxdepth 1 -xtype l -delete
# Empty, neither absent nor "uninitialized": systemd would take either for a first boot, and enable every service that no
# preset disables. A transient id may be mounted over the file.
umount /etc/machine-id 2>/dev/null || :
: >/etc/machine-id
chmod 0444 /etc/machine-id
[ -L /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id

# An account's password counts as changed on the day that it was made: the image's, instead of the build's.
day=$((SOURCE_DATE_EPOCH / 86400))
sed -i -E "s/^([^:]*:[^:]*:)[0-9]+:/\\1$day:/" /etc/shadow

echo 'cleanup: logs, histories and caches'
# Services expect their folders, with the owners that their packages set. No service creates wtmp, btmp or lastlog.
find /var/log -xdev -type f ! -name wtmp ! -name btmp ! -name lastlog -delete
find /var/log -xdev -type f -exec truncate --size=0 {} +
rm -rf /var/log/journal/* /var/log/installer
for home in /root /home/*; do
  rm -rf "$home"/.bash_history "$home"/.lesshst "$home"/.viminfo "$home"/.wget-hsts "$home"/.rnd "$home"/.cache \
    "$home"/.ssh/known_hosts* "$home"/cloud_scripts* "$home"/*.iso
done
find /tmp /var/tmp -xdev -mindepth 1 -delete
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/* /var/backups/* /var/lib/systemd/timers/* \
  /var/lib/systemd/timesync/* /var/lib/wtmpdb/*
rm -f /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/lib/ucf/*.old /var/lib/logrotate/status /etc/.pwd.lock
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
rm -f /var/www/html/index.html /usr/share/cloud/cloud-scripts.tar
# A second start-stop-daemon: mmdebstrap has put the first aside while packages were installed.
rm -f /usr/sbin/start-stop-daemon.REAL

echo 'cleanup: documentation and languages'
rm -rf /usr/share/doc /usr/share/info /usr/share/lintian
# The folders stay: without man1, upgrading Java fails at its alternatives. Time zones stay too: 2 MB, and logs need them.
find /usr/share/man ! -type d -delete
find /usr/share/locale -mindepth 1 -maxdepth 1 -type d \
  ! -name "$LANGUAGE_KEPT" ! -name "${LANGUAGE_KEPT}_*" ! -name "${LANGUAGE_KEPT}@*" -exec rm -rf {} +

# Last, because it kept packages from starting their services.
rm -f /usr/sbin/policy-rc.d

left=
for folder in /etc/ssh /etc/ssl/private /root /home /var/lib/apt/lists /var/cache/apt; do
  [ -d "$folder" ] || continue
  left=$left$(find "$folder" -xdev -type f \
    \( -name 'ssh_host_*' -o -name '*.key' -o -name 'id_*' -o -name '*_Packages*' -o -name '*.deb' \))
done
[ -z "$left" ] || { echo "cleanup: left over: $left" >&2; exit 1; }
others=$(awk -F : -v day="$day" '$3 != "" && $3 != day { print $1 }' /etc/shadow)
[ -z "$others" ] || { echo "cleanup: accounts of another day: $others" >&2; exit 1; }
broken=$(dpkg --audit)
[ -z "$broken" ] || { echo "cleanup: $broken" >&2; exit 1; }
[ -f /etc/machine-id ] && [ ! -s /etc/machine-id ]
