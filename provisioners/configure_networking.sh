#!/bin/sh
# configure_networking.sh: names interfaces eth0, eth1, …, sets the host name and no resolver, and has SSH host keys made at first boot.
# uses: SYSTEM_HOSTNAME, SYSTEM_DOMAIN, NAMESERVERS (by spaces, or none)    leaves: /etc/network/interfaces, /etc/iproute2/rt_tables, /etc/systemd/network/99-default.link, /etc/hostname, /etc/hosts, /etc/resolv.conf, /etc/systemd/system/ifup@.service.d/systemvm.conf, /etc/systemd/system/ssh-host-keys.service
set -eu
: "${SYSTEM_HOSTNAME:?}" "${SYSTEM_DOMAIN:?}" "${NAMESERVERS:?}"

# The kernel argument net.ifnames=0 says the same, but a hypervisor may boot the kernel with its own arguments.
ln -sfn /dev/null /etc/systemd/network/99-default.link

# Hotplug, so that boot does not wait for a DHCP server that is not there. CloudStack's first boot rewrites this file.
cat >/etc/network/interfaces <<'END'
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

allow-hotplug eth0
iface eth0 inet dhcp
END

# udev asks for eth0 before first boot has rewritten that file, and is served after that, when eth0 may no longer be a hotplug
# interface. bookworm's unit would then fail; trixie's has nothing to do.
mkdir -p /etc/systemd/system/ifup@.service.d
cat >/etc/systemd/system/ifup@.service.d/systemvm.conf <<'END'
[Service]
ExecStart=
ExecStart=/sbin/ifup --allow=hotplug %I
END

# CloudStack's programs add a routing table for each interface. trixie has Debian's own only where it is not to be written.
[ -e /etc/iproute2/rt_tables ] || install -D -m 0644 /usr/share/iproute2/rt_tables /etc/iproute2/rt_tables

echo "$SYSTEM_HOSTNAME" >/etc/hostname
# On a second line, so that 127.0.0.1 still resolves to localhost, and the name does not depend on an interface.
cat >/etc/hosts <<END
127.0.0.1	localhost
127.0.0.1	$SYSTEM_HOSTNAME.$SYSTEM_DOMAIN $SYSTEM_HOSTNAME
::1	localhost ip6-localhost ip6-loopback
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
END

# A file, not a link, because CloudStack writes it in place.
[ ! -L /etc/resolv.conf ] || rm /etc/resolv.conf
if [ "$NAMESERVERS" = none ]; then
  echo '# Written by DHCP or by CloudStack.' >/etc/resolv.conf
else
  # shellcheck disable=SC2086 # one line per word
  printf 'nameserver %s\n' $NAMESERVERS >/etc/resolv.conf
fi
chmod 0644 /etc/resolv.conf
echo "configure_networking: $SYSTEM_HOSTNAME, name servers: $NAMESERVERS"

# Keys in the image would be the same in every VM. Debian's sshd-keygen.service (trixie) acts on a first boot only, which
# the empty /etc/machine-id of an image is not. Whatever starts sshd pulls this in; ssh-keygen -A makes missing keys only.
cat >/etc/systemd/system/ssh-host-keys.service <<'END'
[Unit]
Description=SSH host keys of this machine
RequiresMountsFor=/etc/ssh
After=systemd-remount-fs.service
Before=ssh.service ssh.socket

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A
# It computes for a long time on one slow processor, and first boot waits only a minute for the agent to bring its arguments.
CPUWeight=20

[Install]
WantedBy=ssh.service ssh.socket
END
systemctl --quiet --no-reload enable ssh-host-keys.service
rm -f /etc/ssh/ssh_host_*

# systemd 256 and newer would also offer sshd to the hypervisor over vsock. The only way in is sshd's own port.
mkdir -p /etc/systemd/system-generators
ln -sfn /dev/null /etc/systemd/system-generators/systemd-ssh-generator

[ -L /etc/systemd/system/ssh.service.wants/ssh-host-keys.service ]
ifquery --list --allow=hotplug >/dev/null
