#!/bin/sh
# authorized_keys.sh: installs the SSH keys that may log in as root: none, unless some are given.
# uses: KEYS (by newlines; # for none)    leaves: /root/.ssh, and with keys /root/.ssh/authorized_keys
set -eu
: "${KEYS:?}"

install -d -m 0700 /root/.ssh
rm -f /root/.ssh/authorized_keys2
if [ "$KEYS" = '#' ]; then
  rm -f /root/.ssh/authorized_keys
  echo 'authorized_keys: none'
  exit 0
fi

umask 077
printf '%s\n' "$KEYS" >/root/.ssh/authorized_keys
chmod 0600 /root/.ssh/authorized_keys

# Prints a fingerprint for each key, and fails at a line that is not a key.
ssh-keygen -l -f /root/.ssh/authorized_keys
