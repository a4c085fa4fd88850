/** UEFI firmware, as a machine is given it. */

import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Arch, archs } from '../arch.ts'
import { toolsMissing } from '../host/tools.ts'
import type { Uefi } from '../qemu/machine.ts'
import type { DeviceModel } from '../targets/device-model.ts'

/** Of PCs, from Debian's package `ovmf`. The one that checks signatures has the keys that hardware is sold with. */
const ofPcs = {
  plain: { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  secure: {
    code: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
    variables: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd',
  },
} as const

/**
 * The firmware of a machine, with variables of its own; undefined if it has a BIOS.
 * @param folder an existing one of this guest
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
  await copyFile(variables, copy).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? toolsMissing(['UEFI firmware (package ovmf)']) : error
  })
  return { code, variables: copy, isSecure: uefi === 'secure' }
}
