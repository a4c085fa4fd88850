/** The programs needed to read a disk. */

import { findProgram, toolsMissing } from '../host/tools.ts'

const programs = ['qemu-img', 'sfdisk', 'blkid', 'debugfs'] as const

/** @throws PipelineError `tools` naming all that are missing */
export async function requireInspectionTools(): Promise<void> {
  const found = await Promise.all(programs.map((name) => findProgram(name)))
  const missing = programs.filter((_, index) => found[index] === undefined)
  if (missing.length > 0) throw toolsMissing(missing)
}
