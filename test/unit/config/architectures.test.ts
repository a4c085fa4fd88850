import { describe, expect, it } from 'vitest'
import pipeline from '../../../pipeline.ts'
import type { Fault } from '../../../src/config/faults.ts'
import type { Overrides } from '../../../src/config/overrides.ts'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { resolvePipeline } from '../../../src/config/resolve.ts'
import { PipelineError } from '../../../src/errors.ts'

type Own = NonNullable<NonNullable<Pipeline['architectures']>['aarch64']>
type Disk = NonNullable<Own['disk']>

const own = pipeline.architectures?.aarch64 as Own
const disk = own.disk as Disk
const [esp, boot, swap, root] = disk.partitions as [
  Disk['partitions'][number],
  Disk['partitions'][number],
  Disk['partitions'][number],
  Disk['partitions'][number],
]

async function faultsOf(over: Partial<Pipeline>, overrides: readonly Overrides[] = []) {
  try {
    await resolvePipeline({ ...pipeline, ...over }, overrides)
    return []
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    return (error.details.faults as readonly Fault[]).map(({ path, rule }) => `${path}: ${rule}`)
  }
}

const withOwn = (over: Own): Partial<Pipeline> => ({ architectures: { aarch64: { ...own, ...over } } })
const withPartitions = (...partitions: Disk['partitions']) => withOwn({ disk: { ...disk, partitions } })
const only: Pipeline['variants'] = [{ suite: 'trixie', arch: 'aarch64' }]

describe('what a pipeline says of an architecture', () => {
  it('takes the place of what it says of all, in the variants of that architecture', async () => {
    const { images } = await resolvePipeline(pipeline)
    const facts = images.map(({ variant, debianArch, kernelPackage, disk: { table }, targets }) =>
      [variant, debianArch, kernelPackage, table ?? 'mbr', targets.length].join(' '),
    )
    expect(facts).toEqual([
      'bookworm-x86_64 amd64 linux-image-amd64 mbr 5',
      'trixie-x86_64 amd64 linux-image-amd64 mbr 5',
      'bookworm-x86_64-uefi amd64 linux-image-amd64 mbr 5',
      'bookworm-aarch64 arm64 linux-image-arm64 gpt 1',
      'trixie-aarch64 arm64 linux-image-arm64 gpt 1',
    ])
  })

  it('may be said of all where there are no others', async () => {
    const { disk: _disk, kernelPackage: _kernel, architectures: _own, ...rest } = pipeline
    const { images } = await resolvePipeline({ ...rest, variants: only, targets: ['kvm'], disk })
    expect(images).toMatchObject([{ kernelPackage: 'linux-image-arm64', disk: { table: 'gpt' } }])
  })

  it('is not touched by an override of what is said of all', async () => {
    const values = { kernelPackage: 'linux-image-cloud-amd64', targets: ['kvm'], disk: { sizeMiB: 2520 } }
    const { images } = await resolvePipeline(pipeline, [{ source: '--set', values }])
    expect(images.map(({ kernelPackage }) => kernelPackage)).toEqual([
      'linux-image-cloud-amd64',
      'linux-image-cloud-amd64',
      'linux-image-cloud-amd64',
      'linux-image-arm64',
      'linux-image-arm64',
    ])
    expect(images.map(({ disk: { sizeMiB } }) => sizeMiB)).toEqual([2520, 2520, 5040, 5040, 5040])
  })

  it('is overridden by its own path', async () => {
    const values = { architectures: { aarch64: { disk: { sizeMiB: 2520 } } } }
    const { images } = await resolvePipeline(pipeline, [{ source: '--set', values }])
    expect(images.map(({ disk: { sizeMiB } }) => sizeMiB)).toEqual([5040, 5040, 5040, 2520, 2520])
  })
})

describe('what a pipeline says of a variant', () => {
  const plain: Pipeline['variants'][number] = { suite: 'bookworm', arch: 'x86_64' }
  const both = pipeline.variants.find(({ label }) => label === 'uefi') as Pipeline['variants'][number]

  it('takes the place of what it says of the architecture and of all, and names it', async () => {
    const own = { disk: both.disk, targets: ['kvm'] as const, kernelPackage: 'linux-image-cloud-amd64' }
    const { images } = await resolvePipeline({
      ...pipeline,
      architectures: { x86_64: { targets: ['raw'], kernelPackage: 'linux-image-amd64' } },
      variants: [
        { suite: 'trixie', arch: 'x86_64' },
        { suite: 'trixie', arch: 'x86_64', label: 'both', ...own, targets: ['kvm'] },
      ],
    })
    expect(images).toMatchObject([
      { variant: 'trixie-x86_64', targets: ['raw'], kernelPackage: 'linux-image-amd64' },
      { variant: 'trixie-x86_64-both', targets: ['kvm'], kernelPackage: 'linux-image-cloud-amd64' },
    ])
    expect(images.map((image) => image.disk.partitions.length)).toEqual([3, 4])
  })

  it('is overridden by its own path alone', async () => {
    const values = { disk: { sizeMiB: 2520 } }
    const { images } = await resolvePipeline({ ...pipeline, variants: [plain, both] }, [
      { source: '--set', values },
    ])
    expect(images.map(({ disk: { sizeMiB } }) => sizeMiB)).toEqual([2520, 5040])
  })

  it('needs a label', async () => {
    const { label: _label, ...nameless } = both
    expect(await faultsOf({ variants: [nameless] })).toContain(
      'variants[0].label: must be given for a variant with a disk of its own',
    )
  })

  it('is told of at its own place', async () => {
    const { disk: own } = both
    const wrong = { ...both, disk: { ...(own as Disk), sizeMiB: 5000 } }
    expect((await faultsOf({ variants: [wrong] })).join()).toMatch(
      /^variants\[0\]\.disk\.sizeMiB: must be a multiple/,
    )
  })

  it('may ask for Secure Boot only of a PC, and of a disk that UEFI starts', async () => {
    const bios = { ...pipeline.disk, secureBoot: true }
    expect(await faultsOf({ disk: bios, variants: [{ suite: 'trixie', arch: 'x86_64' }] })).toEqual([
      'disk.secureBoot: must be false for a disk that has no partition at /boot/efi',
    ])
    expect(await faultsOf(withOwn({ disk: { ...disk, secureBoot: true } }))).toEqual([
      'architectures.aarch64.disk.secureBoot: must be false for aarch64: only PCs are known to start such a disk',
    ])
  })
})

describe('a fault', () => {
  it.each<[string, Partial<Pipeline>, string]>([
    [
      'an architecture that nobody makes images for',
      { variants: [{ suite: 'trixie', arch: 'riscv64' as 'aarch64' }] },
      'variants[0].arch: ',
    ],
    [
      "an aarch64 variant on everyone's disk",
      withOwn({ disk: undefined }),
      'disk.table: must be gpt for aarch64: give it a disk of its own in architectures.aarch64.disk',
    ],
    ['a GPT for a BIOS', { disk }, 'disk.table: must be left out for x86_64: its BIOS starts from an MBR'],
    [
      'no EFI system partition',
      withPartitions(boot, swap, root),
      'architectures.aarch64.disk.partitions: one must be mounted at /boot/efi: the firmware of aarch64 starts its boot loader there',
    ],
    [
      'one that is too small',
      withPartitions({ ...esp, sizeMiB: 33 }, boot, swap, root),
      'architectures.aarch64.disk.partitions[0].sizeMiB: must be at least 34, or it is not FAT32',
    ],
    [
      'one that firmware cannot read',
      withPartitions({ ...esp, filesystem: 'ext2' }, boot, swap, root),
      'architectures.aarch64.disk.partitions[0].filesystem: must be vfat, which firmware reads',
    ],
    [
      'one among those from 5 on',
      withPartitions(boot, { ...esp, primary: false }, swap, root),
      'architectures.aarch64.disk.partitions[1].primary: must be set at /boot/efi',
    ],
    [
      'a vfat elsewhere',
      withPartitions(esp, { ...boot, filesystem: 'vfat' }, swap, root),
      'architectures.aarch64.disk.partitions[1].filesystem: may be vfat only at /boot/efi',
    ],
    [
      'a mark for a BIOS',
      withPartitions(esp, { ...boot, bootable: true }, swap, root),
      'architectures.aarch64.disk.partitions[1].bootable: must be left out: a GPT is for firmware that looks for /boot/efi',
    ],
    [
      'a hypervisor that is not on ARM',
      withOwn({ targets: ['kvm', 'hyperv', 'vmware', 'xenserver'] }),
      'architectures.aarch64.targets[1]: must be one that aarch64 has, which is kvm',
    ],
    [
      'a kernel of the other architecture',
      withOwn({ kernelPackage: 'linux-image-cloud-amd64' }),
      'architectures.aarch64.kernelPackage: must be a kernel of arm64 for the variants of aarch64: leave it out, or set architectures.aarch64.kernelPackage',
    ],
    [
      'the same the other way round',
      { kernelPackage: 'linux-image-6.12.48+deb13-arm64' },
      'kernelPackage: must be a kernel of amd64 for the variants of x86_64: leave it out, or set architectures.x86_64.kernelPackage',
    ],
  ])('is %s', async (_case, over, fault) => {
    expect((await faultsOf(over))[0]).toContain(fault)
  })

  it('in targets of all says where to give ARM its own', async () => {
    const faults = await faultsOf({ ...withOwn({ targets: undefined }), targets: ['kvm', 'vmware'] })
    expect(faults).toEqual([
      'targets[1]: must be one that aarch64 has, which is kvm: give aarch64 its own in architectures.aarch64.targets',
    ])
  })

  it('is none of an architecture that has no variants', async () => {
    const variants: Pipeline['variants'] = [{ suite: 'bookworm', arch: 'x86_64' }]
    expect(await faultsOf({ ...withPartitions(root), variants })).toEqual([])
  })
})
