import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { writeMetadata } from '../../../src/export/metadata.ts'
import type { ImageResult } from '../../../src/report/report.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()
const read = () => readFileSync(path('metadata.ini'), 'utf8')
const sectionNames = () => [...read().matchAll(/^\[(.+)\]$/gm)].map(([, name]) => name)
const result = (target: string, name: string) =>
  ({ target, path: `images/${name}`, md5: `md5 of ${name}`, sha512: `sha512 of ${name}` }) as ImageResult
const all = ['kvm', 'xenserver', 'hyperv', 'vmware', 'raw'].map((target) => result(target, `a-${target}`))

async function write(over: Partial<Pipeline> = {}, results: readonly ImageResult[] = all): Promise<string> {
  await writeMetadata(path(), await sampleImage(path(), { release: '4.22.0', ...over }), results)
  return read()
}

it('metadata.ini has a section for each hypervisor of an image, as CloudStack looks it up', async () => {
  const downloadUrl = 'https://example.org/systemvm/4.22'
  const results = [result('kvm', 'a-kvm.qcow2'), result('vmware', 'a-vmware.ova')]
  expect(await write({ downloadUrl }, results)).toBe(`[default]
version = 4.22.0.0
downloadrepository = https://example.org/systemvm

[kvm-x86_64]
templatename = systemvm-kvm-4.22.0-x86_64
checksum = sha512 of a-kvm.qcow2
downloadurl = https://example.org/systemvm/4.22/a-kvm.qcow2
filename = a-kvm.qcow2
arch = x86_64
guestos = Debian GNU/Linux 12 (64-bit)

[lxc]
templatename = systemvm-lxc-4.22.0-x86_64
checksum = sha512 of a-kvm.qcow2
downloadurl = https://example.org/systemvm/4.22/a-kvm.qcow2
filename = a-kvm.qcow2
arch = x86_64
guestos = Debian GNU/Linux 12 (64-bit)

[vmware]
templatename = systemvm-vmware-4.22.0-x86_64
checksum = sha512 of a-vmware.ova
downloadurl = https://example.org/systemvm/4.22/a-vmware.ova
filename = a-vmware.ova
arch = x86_64
guestos = Other Linux (64-bit)
`)
})

const bare = ['hyperv', 'lxc', 'ovm3', 'vmware', 'xenserver']

it.each([
  ['4.17.2.0', 'kvm', 'md5'],
  ['4.20.0', 'kvm', 'md5'],
  ['4.20.1', 'kvm-x86_64', 'md5'],
  ['4.21.0.0', 'kvm-x86_64', 'md5'],
  ['4.22.0', 'kvm-x86_64', 'sha512'],
  ['4.23.0.0', 'kvm-x86_64', 'sha512'],
  ['5.0', 'kvm-x86_64', 'sha512'],
])('metadata.ini of %s has the section %s, and %s as the checksum', async (release, kvm, checksum) => {
  const text = await write({ release })
  expect(sectionNames()).toEqual(['default', ...[...bare, kvm].sort()])
  expect(text.match(/^checksum = \w+/gm)).toEqual(Array(6).fill(`checksum = ${checksum}`))
})

it.each([
  ['4.22', '4.22.0.0'],
  ['4.22.1', '4.22.1.0'],
  ['4.22.1.3', '4.22.1.3'],
  ['4.23.0.0-RC2', '4.23.0.0'],
])('metadata.ini says of %s that it is version %s', async (release, version) => {
  expect(await write({ release })).toContain(`[default]\nversion = ${version}\n`)
})

it.each([
  ['https://example.org/systemvm/4.22', 'https://example.org/systemvm', 'https://example.org/systemvm/4.22/'],
  ['https://example.org/flat', 'https://example.org/flat', 'https://example.org/flat/'],
  // CloudStack's setup ends with an error where a template has no URL.
  [undefined, 'http://systemvm.invalid', 'http://systemvm.invalid/4.22/'],
])(
  'metadata.ini of files served from %s has %s for a mirror to take the place of',
  async (downloadUrl, repository, urls) => {
    const text = await write({ ...(downloadUrl && { downloadUrl }) })
    expect(text).toContain(`\ndownloadrepository = ${repository}\n`)
    expect(text.match(/^downloadurl = .*/gm)).toEqual(expect.arrayContaining([`downloadurl = ${urls}a-raw`]))
  },
)

it('metadata.ini keeps the sections of other variants, and replaces its own', async () => {
  const image = await sampleImage(path(), { release: '4.22.0' })
  const label = { ...image, label: 'trixie' }
  await writeMetadata(path(), label, [result('kvm', 'b-kvm.qcow2'), result('vmware', 'b-vmware.ova')])
  await writeMetadata(path(), image, [result('kvm', 'old-kvm.qcow2')])
  await writeMetadata(path(), image, [result('kvm', 'new-kvm.qcow2')])
  const labeled = ['kvm-x86_64-trixie', 'lxc-x86_64-trixie', 'vmware-x86_64-trixie']
  expect(sectionNames()).toEqual([
    'default',
    'kvm-x86_64',
    ...labeled.slice(0, 1),
    'lxc',
    ...labeled.slice(1),
  ])
  expect(read()).toContain('filename = new-kvm.qcow2')
  expect(read()).toContain('filename = b-kvm.qcow2')
  expect(read()).not.toContain('old-kvm.qcow2')
})

it('metadata.ini loses sections that 4.23 would read in place of its own', async () => {
  const image = await sampleImage(path(), { release: '4.22.0' })
  writeFileSync(path('metadata.ini'), '[default]\nversion = 4.22.0\n\n[vmware-x86_64]\nfilename = old.ova\n')
  await writeMetadata(path(), image, [result('vmware', 'new.ova')])
  expect(sectionNames()).toEqual(['default', 'vmware'])
})
