import { describe, expect, it } from 'vitest'
import { formatFault } from '../../../src/config/faults.ts'
import { targetFaults } from '../../../src/config/target-rules.ts'
import type { FormatSettings } from '../../../src/targets/registry.ts'
import { vmwareFields } from '../../../src/targets/vmware.ts'

const faultsOf = (settings: Parameters<typeof vmwareFields.parse>[0], mounts: readonly string[] = ['/']) =>
  targetFaults(
    ['vmware'],
    { vmware: vmwareFields.parse(settings) } as FormatSettings,
    { partitions: mounts.map((mount) => ({ mount })) },
    [],
  ).map(formatFault)

describe("VMware's settings", () => {
  it("are CloudStack's when nothing is said", () => {
    expect(vmwareFields.parse({})).toEqual({
      hardwareVersion: 13,
      minimumEsxi: '6.5',
      guestOs: 'otherLinux64Guest',
      diskController: 'lsilogic',
      memoryMiB: 256,
      cpus: 1,
      nic: 'none',
      firmware: 'bios',
    })
    expect(faultsOf({})).toEqual([])
  })

  it.each([
    [{ guestOs: 'otherlinux-64' }, "must be VMware's name of a 64-bit Linux: otherLinux64Guest, "],
    [{ minimumEsxi: '6.4' }, 'must be a release of ESXi: 5.5, 6.0, 6.5'],
    [{ memoryMiB: 130 }, 'must be a multiple of 4 MiB'],
    [{ memory: 256 }, 'memory'],
  ])('%j are refused by themselves', (settings, message) => {
    const { error } = vmwareFields.safeParse(settings)
    expect(error?.issues[0]?.message).toContain(message)
  })

  it.each([
    [
      { hardwareVersion: 17 },
      'formats.vmware.hardwareVersion: the newest that ESXi 6.5 runs is 13: lower it or raise formats.vmware.minimumEsxi, found 17',
    ],
    [
      { hardwareVersion: 12 },
      'formats.vmware.hardwareVersion: must be one that some ESXi has: 10, 11, 13, 14, 15, 17, 18, 19, 20, 21, 22, found 12',
    ],
    [
      { guestOs: 'debian12_64Guest' },
      'formats.vmware.guestOs: needs ESXi 8.0 or newer: choose an older one or raise formats.vmware.minimumEsxi, found "debian12_64Guest"',
    ],
    [
      { firmware: 'efi' },
      'formats.vmware.firmware: must be bios for a disk that has no partition at /boot/efi, found "efi"',
    ],
  ] as const)('%j do not go together', (settings, fault) => {
    expect(faultsOf(settings)).toEqual([fault])
  })

  it('are all named when several are wrong', () => {
    expect(faultsOf({ hardwareVersion: 20, guestOs: 'debian13_64Guest', firmware: 'efi' })).toHaveLength(3)
  })

  it('go together on a host that is new enough, and on a disk that EFI boots from', () => {
    expect(faultsOf({ hardwareVersion: 20, minimumEsxi: '8.0', guestOs: 'debian12_64Guest' })).toEqual([])
    expect(faultsOf({ firmware: 'efi' }, ['/boot/efi', '/'])).toEqual([])
  })
})
