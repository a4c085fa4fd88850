/** UEFI firmware, in the form that a machine needs. */

import { access, copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Arch, archs } from '../arch.ts'
import { type Disk, espOf } from '../disk/layout.ts'
import { toolsMissing } from '../host/tools.ts'
import type { Uefi } from '../qemu/machine.ts'
import type { DeviceModel } from '../targets/device-model.ts'

/** Firmware for PCs, from Debian's package `ovmf`. The one that checks signatures has the same keys as hardware on sale. */
const ofPcs = {
  plain: { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  secure: {
    code: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
    variables: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd',
  },
} as const

/**
 * Requires the firmware for verifying a PC's disk; that of other architectures is in the table of tools.
 * @throws PipelineError `tools` if this host has none
 */
export async function requireUefi(arch: Arch, disk: Pick<Disk, 'partitions' | 'secureBoot'>): Promise<void> {
  if (espOf(disk) === undefined || archs[arch].uefi !== undefined) return
  const kinds = disk.secureBoot === true ? [ofPcs.plain, ofPcs.secure] : [ofPcs.plain]
  const files = kinds.flatMap(({ code, variables }) => [code, variables])
  await Promise.all(files.map((file) => access(file))).catch(firmwareMissing)
}

/**
 * The firmware of a machine, with its own variables; undefined if it has a BIOS.
 * @param folder an existing folder of this guest
 * @throws PipelineError `tools` if this host has no such firmware
 */
export async function prepareUefi(
  arch: Arch,
  { uefi }: Pick<DeviceModel, 'uefi'>,
  folder: string,
): Promise<Uefi | undefined> {
  const { uefi: always } = archs[arch]
  if (always !== undefined) return { code: always.file }
  if (uefi === undefined) return undefined
  const { code, variables } = ofPcs[uefi]
  const copy = join(folder, 'uefi-variables.fd')
  await copyFile(variables, copy).catch(firmwareMissing)
  return { code, variables: copy, isSecure: uefi === 'secure' }
}

// --- internal ---

function firmwareMissing(error: NodeJS.ErrnoException): never {
  throw error.code === 'ENOENT' ? toolsMissing(['UEFI firmware (package ovmf)']) : error
}
