#!/bin/sh
# install_xen_tools.sh: installs vhd-util and XenServer's guest utilities, which no Debian suite has, if they are given.
# uses: STAGE_FILES    leaves: /usr/bin/vhd-util, the package of the guest utilities
set -eu
: "${STAGE_FILES:?}"

for program in "$STAGE_FILES"/vhd_util/*; do
  [ -f "$program" ] || continue
  install -m 0755 "$program" /usr/bin/vhd-util
  status=0
  # Called without a verb it only has to say something; what it says does not matter.
  /usr/bin/vhd-util >/dev/null 2>&1 || status=$?
  if [ "$status" -ge 126 ]; then
    echo "install_xen_tools: vhd-util ends with $status here: it is for another machine, or wants libraries that are not there" >&2
    exit 1
  fi
  echo 'install_xen_tools: vhd-util'
done

for package in "$STAGE_FILES"/guest_utilities/*; do
  [ -f "$package" ] || continue
  name=$(dpkg-deb --field "$package" Package)
  wanted="$(dpkg-deb --field "$package" Version) installed"
  state=$(dpkg-query --show --showformat='${Version} ${db:Status-Status}' "$name" 2>/dev/null) || :
  [ "$state" = "$wanted" ] || dpkg --install "$package"
  # First boot only looks for it on Xen.
  command -v xe-daemon
  echo "install_xen_tools: $name $wanted"
done
