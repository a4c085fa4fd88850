/** What CloudStack's tree names and no image of ours has, on purpose: each with its reason. */

import type { Need } from './needs.ts'

export interface Absence {
  readonly kind: Need['kind']
  /** One of what is needed, or several that begin alike. */
  readonly name: string | RegExp
  readonly reason: string
  /** Names the only suite in which it is absent. */
  readonly suite?: string
}

const otherHypervisor = 'of the host, which the same script serves; a system VM does not get there'
const writtenLater = 'written while the machine runs, before it is read or with a look whether it is there'
const ofKubernetes = "on the disc of a Kubernetes release, which CloudStack attaches to the node's machine"

const noVhdUtil = 'in no Debian suite; only for templates from snapshots on XenServer'

export const absences: readonly Absence[] = [
  { kind: 'program', name: 'vhd-util', reason: noVhdUtil },
  { kind: 'path', name: '/bin/vhd-util', reason: noVhdUtil },
  {
    kind: 'path',
    name: /^(\/usr\/sbin|\/var\/cache)\/xe-(daemon|linux-distribution)$/,
    reason: "XenServer's guest tools, in no Debian suite; started on Xen alone, and an error is passed over",
  },
  {
    kind: 'path',
    name: '/usr/sbin/hv_fcopy_daemon',
    suite: 'trixie',
    reason: 'Linux 6.10 has another way to copy files from Hyper-V; nothing of CloudStack uses either',
  },
  {
    kind: 'kernel module',
    name: 'acpiphp',
    suite: 'trixie',
    reason: 'built into the kernel, which does not list it any more; the script looks for that first',
  },
  {
    kind: 'kernel module',
    name: 'pci_hotplug',
    reason: 'built into the kernel, and never on its list; the script looks for that first',
  },
  { kind: 'path', name: '/etc/inittab', reason: 'of the init before systemd; its edits may fail' },
  { kind: 'unit', name: 'ntpd', reason: 'only ever stopped and disabled, under its name of the past' },
  {
    kind: 'unit',
    name: 'nfs-common',
    reason: 'masked by Debian for years: what it stood for is started by mounting',
  },
  { kind: 'program', name: /^(remove_sat|getcidr)$/, reason: 'a function that none of the scripts defines' },
  { kind: 'iptables extension', name: 'can', reason: 'a word of a comment' },
  {
    kind: 'path',
    name: '/opt/cloud/bin/update_host_passwd.sh',
    reason: 'of XenServer hosts, although its name stands among those of routers',
  },
  {
    kind: 'path',
    name: '/etc/cloudstack/cmdline.json',
    reason: 'written by the first run of update_config.py, which all roles that read it have behind them',
  },
  {
    kind: 'path',
    name: '/etc/iptables/iptables.conf',
    reason: 'read only where it is there; no release has it',
  },
  { kind: 'path', name: /^\/etc\/cloudstack\/agent\//, reason: otherHypervisor },
  { kind: 'path', name: /^\/etc\/(libvirt|pki\/libvirt)/, reason: otherHypervisor },
  { kind: 'program', name: 'cloudstack-setup-agent', reason: otherHypervisor },
  { kind: 'unit', name: 'libvirtd', reason: otherHypervisor },
  { kind: 'path', name: /^\/usr\/local\/cloud\/systemvm\//, reason: 'comes in agent.zip' },
  {
    kind: 'path',
    name: /^\/var\/cache\/cloud\/(cmdline|cloud-scripts\.tgz)$/,
    reason: 'comes from the host',
  },
  { kind: 'path', name: /^\/etc\/iptables\/rules\./, reason: writtenLater },
  { kind: 'path', name: '/etc/keepalived/keepalived.conf', reason: writtenLater },
  { kind: 'path', name: '/etc/udev/rules.d/70-persistent-net.rules', reason: writtenLater },
  { kind: 'path', name: /^\/root\/(advanced|basic)_|^\/root\/diagnostics_files_$/, reason: writtenLater },
  { kind: 'path', name: /^\/var\/(log|lock|run)\//, reason: writtenLater },
  { kind: 'path', name: '/etc/kubernetes/admin.conf', reason: 'written by kubeadm' },
  { kind: 'path', name: /^\/opt\/bin\//, reason: ofKubernetes },
  { kind: 'program', name: /^kube(adm|ctl)$/, reason: ofKubernetes },
  {
    kind: 'unit',
    name: 'setup-kube-system',
    reason: 'only asked for its state, which is inactive, as it is meant to be',
  },
  {
    kind: 'program',
    name: 'rpm',
    reason: "for nodes of a customer's own template, where the other branch is for Debian",
  },
]

/** Why something is absent; undefined where nothing explains it. */
export function explainAbsence(
  { kind, name }: Pick<Need, 'kind' | 'name'>,
  suite: string,
): Absence | undefined {
  return absences.find(
    (absence) =>
      absence.kind === kind &&
      (absence.suite ?? suite) === suite &&
      (typeof absence.name === 'string' ? absence.name === name : absence.name.test(name)),
  )
}
