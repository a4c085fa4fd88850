#!/bin/sh
# apt_upgrade.sh: configures signed package sources, upgrades all packages, and reserves no blocks for root.
# uses: SUITE, MIRROR, SECURITY_MIRROR, COMPONENTS, KEYRING, BACKPORTS (yes|no), SNAPSHOT (yes|no)    leaves: /etc/apt/sources.list.d/debian.sources
set -eu
: "${SUITE:?}" "${MIRROR:?}" "${SECURITY_MIRROR:?}" "${COMPONENTS:?}" "${KEYRING:?}" "${BACKPORTS:?}" "${SNAPSHOT:?}"

suites="$SUITE $SUITE-updates"
[ "$BACKPORTS" = no ] || suites="$suites $SUITE-backports"
# A snapshot's Release file has expired by design; its signature still counts.
expiry=
[ "$SNAPSHOT" = no ] || expiry='Check-Valid-Until: no'

# ${expiry:+…} starts a line only if there is something to write: an empty one would end the stanza.
sources="Types: deb
URIs: $MIRROR
Suites: $suites
Components: $COMPONENTS
Signed-By: $KEYRING${expiry:+
$expiry}

Types: deb
URIs: $SECURITY_MIRROR
Suites: $SUITE-security
Components: $COMPONENTS
Signed-By: $KEYRING${expiry:+
$expiry}"
# apt rebuilds its cache when this file is newer, so it is written only if it differs.
file=/etc/apt/sources.list.d/debian.sources
[ -e "$file" ] && [ "$(cat "$file")" = "$sources" ] || printf '%s\n' "$sources" >"$file"
chmod 0644 "$file"

# The installer's own sources name the same mirrors again, or its CD.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ "$file" = /etc/apt/sources.list.d/debian.sources ] || rm -f "$file"
done

# Whether the installer, or a run just before this one, has fetched the indexes of all suites within the hour.
fresh() {
  for suite in $suites "$SUITE-security"; do
    set -- /var/lib/apt/lists/*_dists_"$suite"_InRelease
    [ -s "$1" ] || return 1
  done
  [ -n "$(find /var/lib/apt/lists/lock -mmin -60)" ]
}

# A source that cannot be reached is an error: by default apt warns, and upgrades to what it saw last time.
# Translated descriptions would more than double what is fetched and indexed.
if fresh; then
  echo "apt_upgrade: the indexes of $suites and $SUITE-security are fresh"
else
  echo "apt_upgrade: fetching the indexes of $suites and $SUITE-security"
  apt-get -q -o APT::Update::Error-Mode=any -o Acquire::Languages=none update
fi
apt-get -qy --no-install-recommends --autoremove --purge \
  -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold full-upgrade

# Only root writes here, so a reserve would only shrink the disk.
for partition in $(findmnt --real --noheadings --list --nofsroot --output SOURCE --types ext2,ext3,ext4); do
  echo "apt_upgrade: no reserved blocks on $partition"
  tune2fs -m 0 "$partition" >/dev/null
done

broken=$(dpkg --audit)
[ -z "$broken" ] || { echo "apt_upgrade: $broken" >&2; exit 1; }
