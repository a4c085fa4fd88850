/** Runs the program as a user does, as a process of its own. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { type Report, reportSchema } from '../../src/report/report.ts'

export const program = fileURLToPath(new URL('../../bin/systemvm-image.js', import.meta.url))
export const tinyPipeline = fileURLToPath(new URL('../fixtures/tiny/pipeline.ts', import.meta.url))

/** Starts the program with a bound on its time; a non-zero exit is a result, not an error. */
export function systemvmImage(args: readonly string[], limitSeconds = 1200) {
  return execa(process.execPath, [program, ...args], {
    reject: false,
    timeout: limitSeconds * 1000,
    env: { CI: '1' },
  })
}

/** The report of the last run, held against its schema. */
export async function readReport(outFolder: string): Promise<Report> {
  return reportSchema.parse(JSON.parse(await readFile(join(outFolder, 'report.json'), 'utf8')))
}
