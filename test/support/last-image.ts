/** The disk of the last build, as a raw file that a test may break. */

import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { readReport, systemvmImage } from '../e2e/program.ts'
import { pathOfTools } from './path-of-tools.ts'

/** The user's own output folder, so that an image that was just built is not built again. */
export const outFolder = fileURLToPath(new URL('../../out', import.meta.url))

/** Offsets in bytes at which the filesystems begin. */
export interface Offsets {
  readonly root: number
  readonly boot: number
}

/** Writes the image for KVM, or the one named by SYSTEMVM_TEST_IMAGE, to a raw file. Builds it if it is missing. */
export async function copyLastImage(disk: string): Promise<Offsets> {
  await execa('qemu-img', ['convert', '-O', 'raw', await findImage(), disk])
  const table = await execa('sfdisk', ['--json', disk], { env: { PATH: pathOfTools, LC_ALL: 'C' } })
  const { partitions } = JSON.parse(table.stdout).partitiontable as { partitions: { start: number }[] }
  const startOf = (index: number) => (partitions.at(index)?.start ?? 0) * 512
  return { root: startOf(-1), boot: startOf(0) }
}

async function findImage(): Promise<string> {
  const named = process.env.SYSTEMVM_TEST_IMAGE
  if (named !== undefined) return named
  const built = await systemvmImage(['build', '--no-verify', '--out', outFolder], 3000)
  if (built.exitCode !== 0) throw new Error(built.stderr)
  const { images } = await readReport(outFolder)
  return `${outFolder}/${images.find(({ target }) => target === 'kvm')?.path ?? ''}`
}
