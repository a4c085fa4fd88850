/** The programs needed to read a disk. */

import { exitCodes, PipelineError } from '../errors.ts'
import { findProgram } from '../host/tools.ts'

const programs = ['qemu-img', 'sfdisk', 'blkid', 'debugfs'] as const

/** @throws PipelineError `tools` naming all that are missing */
export async function requireInspectionTools(): Promise<void> {
  const found = await Promise.all(programs.map((name) => findProgram(name)))
  const missing = programs.filter((_, index) => found[index] === undefined)
  if (missing.length === 0) return
  throw new PipelineError({
    code: 'tools',
    message: `this host lacks ${missing.join(', ')}`,
    hint: 'install what is missing with: npm run setup',
    exitCode: exitCodes.hostNotFit,
    details: { tools: missing },
  })
}
