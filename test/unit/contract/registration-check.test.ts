import { readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, it } from 'vitest'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import type { FileSubject } from '../../../src/contract/check.ts'
import { registrationChecks } from '../../../src/contract/checks/registration.ts'
import { expectationsOf, foreignExpectations } from '../../../src/contract/expected.ts'
import { computeChecksums, writeChecksums } from '../../../src/export/checksums.ts'
import { writeMetadata } from '../../../src/export/metadata.ts'
import type { ImageResult } from '../../../src/report/report.ts'
import type { TargetName } from '../../../src/targets/registry.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()
const never = new AbortController().signal

/** Writes an image's file with its checksums and its metadata, and asks the check; `change` makes another text of the metadata. */
async function ask(
  target: TargetName,
  change: (text: string) => string = (text) => text,
  over: Partial<Pipeline> = {},
  isForeign = false,
) {
  const image = await sampleImage(path(), { release: '4.22.0', targets: [target], ...over })
  const file = path('image')
  writeFileSync(file, 'content')
  const checksums = await computeChecksums(file, never)
  await writeChecksums(file, checksums)
  await writeMetadata(path(), image, [{ target, path: basename(file), ...checksums } as ImageResult])
  const text = change(readFileSync(path('metadata.ini'), 'utf8'))
  writeFileSync(path('metadata.ini'), text)
  const expected = isForeign ? foreignExpectations('x86_64') : expectationsOf(image)
  const subject = { packedAs: file, target, expected, signal: never } as unknown as FileSubject
  return registrationChecks[0]?.run(subject)
}

it.each([
  ['kvm', {}, 'kvm-x86_64, lxc'],
  ['vmware', {}, 'vmware'],
  ['raw', { release: '4.19.1' }, 'ovm3'],
  [
    'kvm',
    { variants: [{ suite: 'trixie', arch: 'x86_64', label: 'new' }] },
    'kvm-x86_64-new, lxc-x86_64-new',
  ],
] as const)('E7 finds a file for %s of %j under %s', async (target, over, sections) => {
  const found = await ask(target, undefined, over as Partial<Pipeline>)
  expect(found).toEqual({ status: 'passed', observed: sections })
})

it.each([
  ['another name', (text) => text.replace('[vmware]', '[vmware-x86_64]'), 'it has no section vmware'],
  ['another checksum', (text) => text.replace(/checksum = ../, 'checksum = zz'), 'checksum of vmware is zz'],
  [
    'another file',
    (text) => text.replace('filename = image', 'filename = other'),
    'filename of vmware is other',
  ],
  [
    'an unknown system',
    (text) => text.replace(/guestos = .*/, 'guestos = CP/M'),
    'guestos of vmware is CP/M',
  ],
  ['no address', (text) => text.replace(/downloadurl = .*\n/, ''), 'vmware has no downloadurl'],
  ['one in its way', (text) => `${text}\n[vmware-x86_64]\nfilename = old\n`, 'vmware-x86_64 hides vmware'],
] as const satisfies readonly (readonly [string, (text: string) => string, string])[])(
  'E7 fails where metadata.ini has %s',
  async (_case, change, fault) => {
    const found = await ask('vmware', change)
    expect(found).toMatchObject({ status: 'failed', observed: expect.stringContaining(fault) })
  },
)

it('E7 does not judge files of others', async () => {
  expect(await ask('kvm', undefined, {}, true)).toMatchObject({ status: 'skipped' })
})
