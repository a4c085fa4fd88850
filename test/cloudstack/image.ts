/** The image that CloudStack's code judges: of one variant and one payload, built if it was not. */

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { type Arch, archNames } from '../../src/arch.ts'
import { readReport, systemvmImage } from '../e2e/program.ts'
import { cloudstackSource } from './tree.ts'

/** Variant that is judged. */
export const variant = process.env.SYSTEMVM_TEST_VARIANT ?? 'bookworm-x86_64'
/** Its architecture, which a variant is named after. */
export const arch: Arch = archNames.find((name) => variant.split('-').includes(name)) ?? 'x86_64'
const payload = process.env.SYSTEMVM_TEST_PAYLOAD ?? 'own'
const outFolder = fileURLToPath(new URL('../../out', import.meta.url))

/** Whether the image has CloudStack's scripts from the start. */
export const hasTheirPayload = payload === 'cloudstack'

/** Path of the file for KVM. `SYSTEMVM_TEST_PAYLOAD=cloudstack` takes CloudStack's own scripts for a payload. */
export async function buildImage(): Promise<string> {
  // Of our own payload all files, as after `npm run build:image`: there is nothing to build again then.
  const theirs = hasTheirPayload ? ['--payload', cloudstackSource, '--set', 'targets=[kvm]'] : []
  const words = ['build', '--no-verify', '--wait', '--variant', variant, '--out', outFolder]
  const built = await systemvmImage([...words, ...theirs], 3000)
  expect(built.exitCode, built.stderr).toBe(0)
  const { images } = await readReport(outFolder)
  const path = images.find(({ target }) => target === 'kvm')?.path
  if (path === undefined) throw new Error('the report names no file for KVM')
  return join(outFolder, path)
}
