/** The programs needed to read and create disks. */

import { findProgram, toolsMissing } from '../host/tools.ts'

/** Requires the programs that read disks. @throws PipelineError `tools` that names all missing programs */
export async function requireInspectionTools(): Promise<void> {
  await requirePrograms(['qemu-img', 'sfdisk', 'blkid', 'debugfs'])
}

/**
 * Requires the programs that make and read an EFI system partition.
 * @throws PipelineError `tools` that names all missing programs
 */
export async function requireEspTools(): Promise<void> {
  await requirePrograms(['mkfs.vfat', 'mcopy'])
}

// --- internal ---

async function requirePrograms(programs: readonly string[]): Promise<void> {
  const found = await Promise.all(programs.map((name) => findProgram(name)))
  const missing = programs.filter((_, index) => found[index] === undefined)
  if (missing.length > 0) throw toolsMissing(missing)
}
