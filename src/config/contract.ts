/** What CloudStack relies on in a system VM template, as numbered assertions. `src/contract/` has the checks for them. */

import { type Assertion, ownRequirements } from './own-requirements.ts'

/**
 * A: the file. B: first boot. C: how a KVM host configures the machine. D: the roles. E: other hypervisors, and CloudStack's
 * own first boot. F: security and hygiene.
 */
const customs = {
  A1: {
    title: 'the KVM file is a compressed qcow2 of the right size that every host reads',
    why: 'an unknown feature bit makes a host refuse the template',
  },
  A2: {
    title: 'the file is plain, or packed as CloudStack unpacks it: bz2, gz or zip',
    why: 'the storage VM unpacks nothing else; xz was refused',
  },
  A3: {
    title: 'the checksum lists match the file',
    why: 'registration compares sha512, and a wrong checksum blocks the template',
  },
  A4: {
    title: 'on MBR /boot comes first, on GPT the EFI system partition; swap is 5, and the root 6, last',
    why: 'only the last partition can grow into a larger disk',
  },
  A5: {
    title: 'no block is reserved for root',
    why: 'only root writes to this disk, so a reserve only wastes space',
  },
  A6: {
    title: 'GRUB does not wait, and the kernel gets the consoles and the interface names',
    why: 'without net.ifnames=0 nothing finds eth0, and without consoles no one can see why',
  },
  A7: {
    title: 'no leases, no interface rules and no documentation',
    why: "an old rule would reserve the name eth0 for the build machine's card",
  },
  A8: {
    title: '/etc/cloudstack-release names the release',
    why: 'the management server reads it and refuses an older one',
  },
  A9: {
    title: 'the signature matches the packed scripts',
    why: 'a wrong one makes the management server patch every machine again',
  },
  A10: {
    title: "CloudStack's folders exist",
    why: 'its scripts write into them and do not create them',
  },
  A11: {
    title: "CloudStack's programs are executable",
    why: 'the management server calls them by path over SSH',
  },
  A12: {
    title: 'no secret and no trace of the build is left',
    why: 'every machine made from the image would have it',
  },
  A13: {
    title: 'the account exists, is an admin, and has no known password',
    why: 'the password of the build is published',
  },
  A14: {
    title: 'sudo without a password allows only six commands',
    why: "the build's NOPASSWD: ALL would make the account root",
  },
  A15: {
    title: "the files that CloudStack's scripts edit have the lines to edit",
    why: 'an edit that finds no such line changes nothing, and no script notices',
  },
  A16: {
    title: 'containerd looks for network plug-ins where Kubernetes nodes unpack them',
    why: 'they use its default configuration: otherwise no pod gets a network',
  },
  A17: {
    title: "Hyper-V's data is where CloudStack's scripts look for it",
    why: "Debian's daemon puts it elsewhere",
  },
  A18: {
    title: 'apache sites are named vhost…, list no folders and honor .htaccess',
    why: 'certificates go into files of that name, and .htaccess keeps machines from reading the data of others',
  },
  B1: {
    title: 'boots to a login on its consoles in time',
    why: 'a template that does not boot here is unlikely to boot anywhere',
  },
  B2: { title: 'interfaces are named eth0, eth1, …', why: 'all of CloudStack uses these names' },
  B3: {
    title: "sshd listens on 3922, accepts only keys, and has the management server's settings",
    why: 'that server opens many sessions at once, and may sign with SHA-1',
  },
  B4: { title: 'SSH without the right key is refused', why: 'a template is public' },
  B5: {
    title: 'the machine detects its hypervisor',
    why: 'first boot depends on it, and gives up without one',
  },
  B6: {
    title: 'Java 17 or newer, and a key store that opens',
    why: "CloudStack's agent runs on it and adds certificates to it",
  },
  B7: {
    title: 'every program that roles call exists and runs',
    why: 'a missing one fails a role much later',
  },
  B8: { title: 'dhcp_release is installed', why: 'without it, routers keep the leases of deleted machines' },
  B9: {
    title: 'python is Python 3, with cgi, flask and netaddr',
    why: "the router's programs are written in it",
  },
  B10: {
    title: 'first boot is enabled, and services of roles and of other hypervisors are not',
    why: 'a router that serves DHCP before it knows its network answers the wrong clients',
  },
  B11: {
    title: 'cloud-init does not start by itself',
    why: 'it would wait for data that never comes',
  },
  B12: { title: 'the power button powers off', why: 'otherwise a graceful stop ends only at its time limit' },
  B13: { title: 'nothing upgrades by itself', why: 'a system VM is replaced, not upgraded' },
  B14: {
    title: 'cloud-init starts by the unit names that CloudStack uses',
    why: 'it sets up Kubernetes nodes and shared file systems',
  },
  B15: {
    title: 'a unit called ntp can be enabled',
    why: 'storage VMs and console proxies would keep the time of their host, or none',
  },
  B16: {
    title: 'dhclient is the DHCP client, and the only one',
    why: 'scripts call it by name, and two clients on one interface fight over its addresses',
  },
  C0: {
    title: 'virtio ports are found by name, in either order',
    why: 'their numbers depend on what else is attached',
  },
  C1: {
    title: 'the guest agent answers before there is any data',
    why: 'the host delivers everything through it, and would wait forever',
  },
  C2: {
    title: 'the guest agent answers a sync with its id',
    why: 'the host begins with a sync, and accepts no other answer',
  },
  C3: {
    title: 'the guest notices what the host writes to /var/cache/cloud/cmdline, and takes it',
    why: 'a system VM learns its role and its network from nothing else',
  },
  C4: {
    title: 'first boot ends with /var/cache/cloud/boot_up_done in time',
    why: 'the management server waits for it for 240 seconds',
  },
  C5: { title: 'cmd_line.json has all the boot arguments', why: "the router's programs read it there" },
  C6: { title: 'the machine has the name it was given', why: 'logs and the agent use it' },
  C7: {
    title: 'every interface has its address, and the default route its gateway',
    why: 'the machine cannot be reached otherwise',
  },
  C8: {
    title: '/etc/network/interfaces has the addresses, and MAC addresses bind names',
    why: 'the machine must come back the same after a restart',
  },
  C9: { title: 'name servers are in order', why: 'the internal ones must be asked first' },
  C10: {
    title: 'the key that was handed over can log in by SSH on 3922',
    why: 'the management server does everything else by SSH',
  },
  C11: {
    title: 'management and private networks are routed by the local gateway',
    why: 'otherwise that traffic leaves through the public interface',
  },
  C12: {
    title: 'root has the password that was handed over, and the account has no known one',
    why: "the console is for the cloud's operators",
  },
  C13: { title: "the kernel's settings are in effect", why: 'they control forwarding, ARP and table sizes' },
  C14: {
    title: 'the root file system grows into a larger disk',
    why: 'routers stop working when it is full',
  },
  C15: {
    title: '/var/log/cloud.log records the first boot',
    why: 'people read it when a system VM does not start',
  },
  C16: {
    title: 'boot continues when no data arrives',
    why: 'a machine that waits forever cannot be examined',
  },
  D1: { title: 'a console proxy runs only its own services', why: 'any other service could be attacked' },
  D2: {
    title: 'a storage VM serves through apache with its modules',
    why: 'uploads and downloads go through it',
  },
  D3: { title: 'a router serves DHCP, DNS and load balancing', why: 'guests need these first' },
  D4: {
    title: 'a redundant router fails over, and serves nothing before it is master',
    why: 'two DHCP servers answer the same guests',
  },
  D5: { title: 'a VPC router comes up with only eth0', why: 'the management server adds each tier later' },
  D6: { title: 'DHCP servers and load balancers have their services', why: 'they share the image' },
  D7: {
    title: "sshd listens only on the role's control address",
    why: 'it must not be reached from guest and public networks',
  },
  D8: { title: 'each role has its firewall', why: 'a missing one leaves the role open or unreachable' },
  D9: {
    title: 'the firewall lets 3922 in on the right interface',
    why: 'otherwise the management server is locked out',
  },
  D10: { title: 'logs are rotated and bounded', why: 'a full disk stops the router' },
  D11: {
    title: 'Kubernetes nodes and shared file systems are left to their user and to cloud-init',
    why: 'nothing is copied into them: what first boot makes of them is all they get',
  },
  D12: {
    title: 'a type that the image does not know gets no more than control over SSH',
    why: 'a newer CloudStack may ask for one, and must not get an open router',
  },
  D13: {
    title: 'an IPv6 network is routed, advertised and filtered',
    why: 'guests would have addresses but no route, or a route but no filter',
  },
  D14: {
    title: "the role's services are named as CloudStack restarts and stops them",
    why: 'a live patch uses these names',
  },
  D15: {
    title: 'the filter opens what CloudStack opens at boot, and nothing else',
    why: 'two routers that do not hear each other both serve; uploads have to be allowed',
  },
  D16: {
    title: 'user data runs before the machine reports that it is up',
    why: 'operators add to a system VM with it; CloudStack has passed it on since 4.22',
  },
  E0: {
    title: 'Xen with Viridian extensions is detected as Xen',
    why: 'it reports Hyper-V first',
  },
  E1: { title: 'xenstore-read is installed', why: 'first boot on Xen reads its data with it' },
  E2: {
    title: 'the OVA describes the machine that CloudStack expects',
    why: 'vSphere refuses or changes what it does not know',
  },
  E3: {
    title: 'the Hyper-V file is a sound VHD, and its daemons wait for Hyper-V',
    why: 'Hyper-V refuses others',
  },
  E4: {
    title: "the XenServer file is a dynamic VHD that XenServer's tools accept",
    why: 'they refuse or cannot grow others',
  },
  E5: { title: 'VirtualBox passes its data in DMI strings', why: 'developers test with it' },
  E6: {
    title: "an agent that comes with the image's exact scripts is unpacked",
    why: 'known scripts are not unpacked again, and neither is the agent that comes with them',
  },
  E7: {
    title: 'metadata.ini registers the file as its release expects',
    why: 'an upgrade stops at a hypervisor in use whose template it does not find',
  },
  F1: { title: 'SSH host keys are made at first boot, not baked in', why: 'all machines would share them' },
  F2: {
    title: 'the machine id is empty in the image and made at first boot',
    why: 'all machines would share it',
  },
  F3: {
    title: 'no account has a well-known password, and only root is root',
    why: 'the traditional one is printed in the documentation',
  },
  F4: { title: 'the account has no usable password and no key', why: 'it may run commands as root' },
  F5: {
    title: 'every program is from a signed package, or was given with its checksum',
    why: 'unsigned downloads let in foreign code',
  },
  F6: {
    title: 'no SSH key in the image can log in as root or anyone else',
    why: "a developer's key once shipped",
  },
  F7: {
    title: 'certificates are installed, and apache speaks only TLS 1.2 and newer',
    why: 'downloads fail without certificates, and security scanners reject older versions',
  },
  F8: {
    title: 'every boot begins with a filter that lets nothing in, before there is a network',
    why: 'any later failure would leave the machine open',
  },
  F9: {
    title: "if a role's filter does not load, only control over SSH is let in, and nothing through",
    why: 'a router without its filter would forward for everyone, and report that it is up',
  },
} as const satisfies Readonly<Record<string, Assertion>>

/** All assertions: CloudStack's and our own. */
export const contract = { ...customs, ...ownRequirements }

/** The contracts: all assertions, or those that apply when first boot is CloudStack's own. */
export const contractNames = ['cloudstack', 'cloudstack-payload'] as const

export type ContractName = (typeof contractNames)[number]

export type AssertionId = keyof typeof contract

export const assertionIds = Object.keys(contract) as readonly AssertionId[]
