#!/bin/sh
# hook.sh: the last act of the initramfs: brings the build's own files into /run, which no layer contains.
# uses: /systemvm-build/manifest, a path below /systemvm-build/run in each line    leaves: those files in /run
set -eu

if [ "${1:-}" = prereqs ]; then
  exit 0
fi

# An initramfs without busybox has neither cp nor chmod; all of this is for root alone anyway.
umask 077
while read -r path; do
  mkdir -p "/run/${path%/*}"
  cat "/systemvm-build/run/$path" >"/run/$path"
done </systemvm-build/manifest
