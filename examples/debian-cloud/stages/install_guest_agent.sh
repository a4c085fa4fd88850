#!/bin/sh
# install_guest_agent.sh: installs the QEMU guest agent, which starts where the host gives it a channel.
# uses: REFUSED (by commas, may be empty)    leaves: /etc/default/qemu-guest-agent
set -eu
: "${REFUSED?}"

if [ -n "$REFUSED" ]; then
  # bookworm's agent knows the option by its older name.
  option=$(qemu-ga --help | grep -o -e '--block-rpcs' -e '--blacklist' | head -n 1)
  : "${option:?}"
  echo "DAEMON_ARGS=\"$option=$REFUSED\"" >/etc/default/qemu-guest-agent
else
  : >/etc/default/qemu-guest-agent
fi
echo "install_guest_agent: refuses ${REFUSED:-nothing}"

# udev starts the service when the channel appears.
[ -e /usr/lib/systemd/system/qemu-guest-agent.service ]
