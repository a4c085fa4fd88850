import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { writeMetadata } from '../../src/export/metadata.ts'
import type { ImageResult } from '../../src/report/report.ts'
import { useFolder } from '../support/folder.ts'
import { sampleImage } from '../support/pipelines.ts'

const path = useFolder()
const read = () => readFileSync(path('metadata.ini'), 'utf8')
const result = (target: string, name: string) =>
  ({ target, path: `images/${name}`, sha512: `sum of ${name}` }) as ImageResult

it('metadata.ini has a section for each image, as CloudStack registers it', async () => {
  const image = {
    ...(await sampleImage(path())),
    release: '4.22.0',
    downloadUrl: 'https://example.org/systemvm',
  }
  await writeMetadata(path(), image, [result('kvm', 'a-kvm.qcow2'), result('vmware', 'a-vmware.ova')])
  expect(read()).toBe(`[default]
version = 4.22.0

[kvm-x86_64]
templatename = systemvm-kvm-4.22.0-x86_64
checksum = sum of a-kvm.qcow2
downloadurl = https://example.org/systemvm/a-kvm.qcow2
filename = a-kvm.qcow2
arch = x86_64
guestos = Debian GNU/Linux ${image.debianVersion} (64-bit)

[vmware-x86_64]
templatename = systemvm-vmware-4.22.0-x86_64
checksum = sum of a-vmware.ova
downloadurl = https://example.org/systemvm/a-vmware.ova
filename = a-vmware.ova
arch = x86_64
guestos = Other Linux (64-bit)
`)
})

it('metadata.ini keeps the sections of other variants, and replaces its own', async () => {
  const image = await sampleImage(path())
  await writeMetadata(path(), { ...image, label: 'bookworm' }, [result('kvm', 'b-kvm.qcow2')])
  await writeMetadata(path(), image, [result('kvm', 'old-kvm.qcow2')])
  await writeMetadata(path(), image, [result('kvm', 'new-kvm.qcow2')])
  const sections = [...read().matchAll(/^\[(.+)\]$/gm)].map(([, name]) => name)
  expect(sections).toEqual(['default', 'kvm-x86_64', 'kvm-x86_64-bookworm'])
  expect(read()).toContain('filename = new-kvm.qcow2')
  expect(read()).toContain('filename = b-kvm.qcow2')
  expect(read()).not.toContain('old-kvm.qcow2')
})
