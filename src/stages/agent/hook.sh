#!/bin/sh
# hook.sh: the last act of the initramfs: brings the build's own files into /run, which no layer contains.
# uses: /systemvm-build/manifest, a path below /systemvm-build/run in each line    leaves: those files in /run
set -eu

if [ "${1:-}" = prereqs ]; then
  exit 0
fi

# An initramfs without busybox has neither cp nor chmod. All of this is for root alone, but services of other users have to enter
# /run/systemd.
umask 077
while read -r path; do
  case $path in
    systemd/*) (umask 022 && mkdir -p "/run/${path%/*}") ;;
    *) mkdir -p "/run/${path%/*}" ;;
  esac
  cat "/systemvm-build/run/$path" >"/run/$path"
done </systemvm-build/manifest
