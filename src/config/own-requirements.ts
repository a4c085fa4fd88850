/** What we require of a system VM template beyond CloudStack's needs, as assertions in group G. */

/** One assertion. */
export interface Assertion {
  /** What must hold, in one line. */
  readonly title: string
  /** What breaks otherwise. */
  readonly why: string
}

export const ownRequirements = {
  G1: {
    title: 'no unit fails, and the system comes up completely',
    why: 'a failed unit is a defect that no one has looked at',
  },
  G2: {
    title: 'the initramfs has the disk drivers of every hypervisor',
    why: 'they cannot all be emulated here',
  },
  G3: { title: "the OVA's manifest matches its files", why: 'vSphere compares it while it imports' },
  G4: { title: 'the guest agent freezes and thaws file systems', why: 'snapshots with memory depend on it' },
  G5: { title: 'the guest agent reports the addresses of interfaces', why: 'the host displays them' },
  G6: { title: 'the guest agent shuts the machine down', why: 'hosts ask the agent first' },
  G7: {
    title: 'kernel modules that boot configuration names exist',
    why: 'a missing one is a failed unit on every machine',
  },
  G8: {
    title: 'what is handed over is data, never a command',
    why: "tenants' values reach the command line",
  },
  G9: {
    title: 'no name server is baked in',
    why: 'names of a closed network would leak to public servers',
  },
  G10: {
    title: 'swap and /boot never stop a boot, nor does any mount; swap, once off, stays off',
    why: 'a host may bring a disk up late, the emergency shell is locked, and kubelets refuse to run with swap',
  },
  G11: {
    title: 'the root file system is checked at every boot, and repaired if it is damaged',
    why: 'a host that fails leaves damage, and the console is unattended',
  },
  G12: {
    title: 'a router works with 256 MiB, or 512 on ARM, and one processor',
    why: 'CloudStack gives a router no more by default, or gave no more before 4.20',
  },
  G13: {
    title: 'it comes up without a serial port',
    why: 'not every hypervisor attaches one',
  },
  G14: {
    title: 'its time zone and its locale exist',
    why: 'with a missing one, clocks show UTC and texts are ASCII, and nothing fails',
  },
  G15: {
    title: 'a disk for UEFI boots by UEFI, and with Secure Boot if its boot loader is signed',
    why: 'some hosts give their machines no BIOS',
  },
} as const satisfies Readonly<Record<string, Assertion>>
