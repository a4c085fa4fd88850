/** `formats: 'cloudstack'`: what it stands for, what it lays out, and what a pipeline has to keep for it. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { defaultPipeline, loadPipeline } from '../../../src/config/load.ts'
import { parseAssignment } from '../../../src/config/overrides.ts'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import type { PipelineError } from '../../../src/errors.ts'
import { computeChecksums } from '../../../src/export/checksums.ts'
import { imageName } from '../../../src/export/image-file.ts'
import { parseSections } from '../../../src/export/metadata.ts'
import { writeRepository } from '../../../src/export/repository.ts'
import type { ImageResult } from '../../../src/report/report.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()
const never = new AbortController().signal
const allTargets = {
  targets: ['kvm', 'xenserver', 'hyperv', 'vmware', 'raw'],
} as const satisfies Partial<Pipeline>

const packedNames = [
  'sample-4.22.0-x86_64-kvm.qcow2.bz2',
  'sample-4.22.0-x86_64-xen.vhd.bz2',
  'sample-4.22.0-x86_64-hyperv.vhd.zip',
  'sample-4.22.0-x86_64-vmware.ova',
  'sample-4.22.0-x86_64-ovm.raw.bz2',
]

/** The sample with values for one run. */
async function withValues(...assignments: string[]) {
  const { images } = await loadPipeline(defaultPipeline, assignments.map(parseAssignment))
  return images.find(({ label }) => label === undefined)
}

describe("formats: 'cloudstack'", () => {
  it('gives files the names of package builds', async () => {
    const image = await sampleImage(path(), { ...allTargets, release: '4.22.0', formats: 'cloudstack' })
    expect(image.targets.map((target) => imageName(image, target))).toEqual(packedNames)
    expect(image.repository).toBe(true)
  })

  it.each([
    ['alone', ['formats=cloudstack'], 'none', 'bz2', true],
    ['with a setting after it', ['formats=cloudstack', 'formats.kvm.archive=none'], 'none', 'none', true],
    ['over a setting', ['formats.vmware.nic=vmxnet3', 'formats=cloudstack'], 'vmxnet3', 'bz2', true],
    ['without its repository', ['formats=cloudstack', 'repository=false'], 'none', 'bz2', false],
    ['left away', [], 'none', 'none', false],
  ] as const)(
    'is laid over other settings like any other: %s',
    async (_case, assignments, nic, archive, repository) => {
      const image = await withValues(...assignments)
      expect(image?.formats.vmware.nic).toBe(nic)
      expect(image?.formats.kvm.archive).toBe(archive)
      expect(image?.repository).toBe(repository)
    },
  )

  it.each([
    [['formats=cloudstuck'], 'formats: ', '"cloudstuck"'],
    [
      ['formats=cloudstack', 'downloadUrl=https://example.org/4.21'],
      'downloadUrl: must end in /4.22',
      '4.21',
    ],
    [['downloadUrl=https://example.org/a+b'], 'downloadUrl: must have only letters, digits', 'a+b'],
    [['downloadUrl=https://example.org/a%20b'], 'downloadUrl: must have only letters, digits', 'a%20b'],
  ])('refuses what CloudStack would not find: %s', async (assignments, rule, found) => {
    const error = (await withValues(...assignments).catch((thrown: unknown) => thrown)) as PipelineError
    expect(error.message).toContain(rule)
    expect(error.message).toContain(found)
  })
})

describe('the canonical names', () => {
  it('are those of one image of each architecture, which is the one of bookworm', async () => {
    const { images } = await loadPipeline(defaultPipeline, [])
    const canonical = images.filter(({ label }) => label === undefined)
    expect(canonical.map(({ variant, fileName }) => [variant, fileName])).toEqual([
      ['bookworm-x86_64', 'systemvmtemplate-4.22.0-x86_64'],
      ['bookworm-aarch64', 'systemvmtemplate-4.22.0-aarch64'],
    ])
  })

  it('have to be owned', async () => {
    const labeled = { suite: 'trixie', arch: 'x86_64', label: 'trixie' } as const
    const verification = { contract: 'cloudstack' } as const
    await expect(sampleImage(path(), { variants: [labeled], verification })).rejects.toThrow(
      'variants: must have one for x86_64 without a label, the only one that CloudStack looks for',
    )
    // Nobody registers another appliance.
    await sampleImage(path(), { variants: [labeled] })
  })
})

describe('a repository', () => {
  const make = async (names: readonly string[], over: Partial<Pipeline> = {}) => {
    const options = { ...allTargets, release: '4.22.0', formats: 'cloudstack', ...over } as const
    const image = await sampleImage(path(), options)
    mkdirSync(path('out', 'images'), { recursive: true })
    const results: ImageResult[] = []
    for (const [index, name] of names.entries()) {
      const file = path('out', 'images', name)
      writeFileSync(file, `content of ${name}`)
      const checksums = await computeChecksums(file, never)
      results.push({ target: image.targets[index], path: `images/${name}`, ...checksums } as ImageResult)
    }
    await writeRepository(path('out'), image, results, never)
  }
  const repository = (...names: string[]) => path('out', 'repository', '4.22', ...names)
  const lists = ['md5sum.txt', 'metadata.ini', 'sha256sum.txt', 'sha512sum.txt']

  it("has the files in the release's folder, with checksums and what registers them", async () => {
    await make(packedNames)
    expect(readdirSync(repository()).sort()).toEqual([...packedNames, ...lists].sort())
    for (const program of ['md5sum', 'sha256sum', 'sha512sum'])
      execFileSync(program, ['--check', '--status', `${program}.txt`], { cwd: repository() })
    const sections = parseSections(readFileSync(repository('metadata.ini'), 'utf8'))
    expect([...sections.keys()]).toEqual(['hyperv', 'kvm-x86_64', 'lxc', 'ovm3', 'vmware', 'xenserver'])
    expect(statSync(repository(packedNames[0] as string)).nlink).toBe(2)
  })

  it('keeps those of other variants, and none of its own that were packed otherwise', async () => {
    await make(['sample-4.22.0-x86_64-kvm.qcow2'])
    await make(['sample-4.22.0-old-x86_64-kvm.qcow2.bz2'], {
      variants: [{ suite: 'bookworm', arch: 'x86_64', label: 'old' }],
    })
    await make(packedNames.slice(0, 1))
    const kept = ['sample-4.22.0-old-x86_64-kvm.qcow2.bz2', ...packedNames.slice(0, 1)]
    expect(readdirSync(repository()).sort()).toEqual([...kept, ...lists].sort())
    const checksums = readFileSync(repository('sha512sum.txt'), 'utf8')
    expect(checksums.match(/\S+$/gm)).toEqual(kept)
    expect(checksums.match(/4\.22\.0-x86_64-kvm/g)).toHaveLength(1)
  })
})
