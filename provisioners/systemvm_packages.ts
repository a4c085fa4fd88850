import type { DebianArch, Suite } from '../src/api.ts'

/**
 * What every system VM carries, by purpose. Packages that a single stage configures (`grub-pc`, `locales`, `acpid`, …)
 * are declared by that stage.
 *
 * Not taken, though earlier templates had them:
 * - `vhd-util` (a 32-bit binary, with its i386 libraries) and `xe-guest-utilities`: unsigned downloads, in no Debian suite.
 *   If you have them, give them to the stage `install_xen_tools`.
 * - `containerd.io` from Docker: Debian's own `containerd` serves Kubernetes nodes as well.
 * - `grub-legacy`, `apt-transport-https`, `dnsutils`, `ftp`, `telnet`: superseded, or empty transitional packages.
 * - `software-properties-common`, `gnupg`, `gnupg-agent`: they only served to add foreign repositories.
 * - `haveged`: the kernel seeds itself since 5.6.
 * - `libssl-dev`, `libapr1-dev`, `libtcnative-1`: headers and a Tomcat library that nothing in the VM uses.
 * - `sharutils`: it unpacked the build's own archive, and was purged again.
 * - `libxenstore4`, `libnetfilter-conntrack3`, `python3-jsonschema`, `ieee-data`, …: other packages depend on them.
 */
const everywhere = [
  // System and shell. CloudStack edits the configuration of ntpsec, which takes the place of systemd-timesyncd.
  'bzip2',
  'ca-certificates',
  'cron',
  'dbus',
  'diffutils',
  'e2fsprogs',
  'file',
  'gawk',
  'htop',
  'irqbalance',
  'less',
  'logrotate',
  'lsb-release',
  'lsof',
  'ntpsec',
  'procps',
  'psmisc',
  'rsyslog',
  'sysstat',
  'tmux',
  'unzip',
  'uuid',
  'vim-tiny',
  'virt-what',
  'zip',

  // Network tools.
  'bind9-dnsutils',
  'curl',
  'ethtool',
  'httping',
  'iftop',
  'inetutils-ping',
  'inetutils-telnet',
  'ipcalc',
  'iproute2',
  'iputils-arping',
  'net-tools',
  'netbase',
  'rsync',
  'socat',
  'tcpdump',
  'tnftp',
  'traceroute',
  'wget',

  // Packet filter and connection tracking. Kubernetes nodes want the older arptables and ebtables.
  'arptables',
  'conntrack',
  'ebtables',
  'ipset',
  'iptables',
  'iptables-persistent',
  'ipvsadm',
  'nftables',

  // Router services. `dnsmasq-utils` has dhcp_release.
  'dnsmasq',
  'dnsmasq-utils',
  'frr',
  'haproxy',
  'keepalived',
  'radvd',

  // VPN. CloudStack drives strongSwan by `ipsec`, which is the starter.
  'bcrelay',
  'libcharon-extra-plugins',
  'libstrongswan-extra-plugins',
  'ppp',
  'strongswan',
  'strongswan-charon',
  'strongswan-starter',
  'xl2tpd',

  // Secondary storage and shared file systems. The storage VM makes config-drive images with genisoimage.
  'cifs-utils',
  'genisoimage',
  'nfs-common',
  'nfs-kernel-server',
  'samba-common',
  'tdb-tools',
  'xfsprogs',

  // CloudStack's own programs.
  'python-is-python3',
  'python3',
  'python3-flask',
  'python3-netaddr',

  // First boot and Kubernetes nodes. `cloud-guest-utils` has growpart, which calls sfdisk.
  'cloud-guest-utils',
  'cloud-init',
  'containerd',
  'fdisk',

  'qemu-guest-agent',
] as const satisfies readonly string[]

/**
 * The suite's supported Java: CloudStack's agent runs on 11 and newer, and trixie has no 17. Its password server imports
 * `cgi`, which Python has no more since 3.13.
 */
const bySuite = {
  bookworm: ['openjdk-17-jre-headless'],
  trixie: ['openjdk-21-jre-headless', 'python3-legacy-cgi'],
} as const satisfies Record<Suite, readonly string[]>

/**
 * Guest tools of the hypervisors that CloudStack runs on this machine; on arm64 that is KVM alone, which virt-what only
 * recognizes by means of dmidecode, without depending on it there.
 */
const byArch = {
  amd64: ['hyperv-daemons', 'open-vm-tools', 'xenstore-utils'],
  arm64: ['dmidecode'],
} as const satisfies Record<DebianArch, readonly string[]>

/** Names of the system VM's packages in one suite and architecture, all of them in Debian's component `main`. */
export function systemvmPackages(suite: Suite, arch: DebianArch): readonly string[] {
  return [...everywhere, ...bySuite[suite], ...byArch[arch]]
}
