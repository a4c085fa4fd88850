#!/bin/sh
# prepare.sh: what has to be there before a tree's first package, because packages act on it while they are installed.
# uses: ROOT (the tree), DPKG_EXCLUDES, INITRAMFS_SETTINGS, INITRAMFS_SETTINGS_FILE
# leaves: /etc/dpkg/dpkg.cfg.d/systemvm, $INITRAMFS_SETTINGS_FILE
set -eu
: "${ROOT:?}" "${DPKG_EXCLUDES:?}" "${INITRAMFS_SETTINGS:?}" "${INITRAMFS_SETTINGS_FILE:?}"

mkdir -p "$ROOT/etc/dpkg/dpkg.cfg.d" "$ROOT${INITRAMFS_SETTINGS_FILE%/*}"
printf '%s\n' "$DPKG_EXCLUDES" >"$ROOT/etc/dpkg/dpkg.cfg.d/systemvm"
printf '%s\n' "$INITRAMFS_SETTINGS" >"$ROOT$INITRAMFS_SETTINGS_FILE"

[ -s "$ROOT$INITRAMFS_SETTINGS_FILE" ]
