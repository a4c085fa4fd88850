import { writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { compareMetadata } from '../../../src/release/compare-metadata.ts'
import type { ReleaseImage, ReleaseVariant } from '../../../src/release/record.ts'
import { useFolder } from '../../support/folder.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const path = useFolder()
const sample = makeSampleRelease(3)
const [variant] = sample.variants as [ReleaseVariant]
const [image] = variant.files as [ReleaseImage]
const forPeople = { ...image, target: 'virtualbox', file: 'image.vdi' }
const record = { ...sample, variants: [{ ...variant, files: [image, forPeople] }] }

async function faultsOf(text: string): Promise<readonly string[]> {
  writeFileSync(path('metadata.ini'), text)
  const faults: string[] = []
  await compareMetadata(path(), record, (_file, fault) => faults.push(fault))
  return faults
}

const registration = `[default]\nversion = 4.22.0\n\n[kvm-x86_64]\nchecksum = ${image.sha512}\nfilename = ${image.file}\n`

it('demands no registration of an image that no hypervisor takes', async () => {
  expect(await faultsOf(registration)).toEqual([])
})

it.each<[string, string, string]>([
  ['an image without a section', '[default]\nversion = 4.22.0\n', `it does not register ${image.file}`],
  ['a value outside of a section', `checksum = 0\n${registration}`, 'its line 1 is neither'],
  ['a line that some take for a value', `${registration}checksum=0\n`, 'its line 7 is neither'],
  ['more than any release has', `${registration}${'\n'.repeat(1 << 20)}`, 'it cannot be read'],
])('finds %s', async (_what, text, fault) => {
  expect(await faultsOf(text)).toEqual([expect.stringContaining(fault)])
})
