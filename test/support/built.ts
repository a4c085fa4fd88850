/**
 * The output folder of a build, made without building: the tiny pipeline with a disk that contains little but dpkg's
 * database.
 */

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { loadPipeline } from '../../src/config/load.ts'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { computeChecksums } from '../../src/export/checksums.ts'
import { planImage } from '../../src/plan/plan.ts'
import { type Inputs, inputsPath } from '../../src/provenance/inputs.ts'
import { type ImageResult, type Report, reportSchema } from '../../src/report/report.ts'
import { openStore } from '../../src/store/store.ts'
import { writeVerdict } from '../../src/verify/verdicts.ts'
import { makeDisk, makeFilesystem, makeTree } from './filesystems.ts'
import { startMirror } from './mirror.ts'
import { tinyPipeline } from './tiny-pipeline.ts'

/** The archive that its packages are compared with: it starts without anything newer. */
export const builtMirror = await startMirror()

/** Command-line arguments for the pipeline of `makeBuilt`. */
export const builtWords = ['--pipeline', tinyPipeline, '--set', 'targets=[kvm, raw]', ...builtMirror.words]

const digestOf = (letter: string) => letter.repeat(64)

export interface BuiltOptions {
  /** Versions by name. */
  readonly packages?: Readonly<Record<string, string>>
  readonly over?: Partial<Report>
  readonly verified?: boolean
  readonly recorded?: boolean
  /** Size of incompressible data in a file on the disk. @default 0 */
  readonly contentMiB?: number
}

const samplePackages = { dpkg: '1.22.21', libc6: '2.41-12', 'linux-image-6.12.1-amd64': '6.12.1-1' }

/** By default, a clean build that passed its verification. */
export async function makeBuilt(folder: string, options: BuiltOptions = {}): Promise<void> {
  const { packages = samplePackages, over = {}, verified = true, recorded = true, contentMiB = 0 } = options
  const overrides = [{ source: 'test', values: { targets: ['kvm', 'raw'] } }]
  const { images } = await loadPipeline(tinyPipeline, overrides)
  const image = images[0] as ResolvedImage
  const { stages, final } = await planImage(image, openStore('/nonexistent'))
  const key = final?.key ?? ''
  const [kvm, raw] = makeFiles(folder, packages, contentMiB)
  const results = [
    await describe(kvm, 'kvm', 'qcow2', folder, key),
    await describe(raw, 'raw', 'raw', folder, key),
  ]
  const before = JSON.parse(
    readFileSync(new URL('../fixtures/reports/succeeded.json', import.meta.url), 'utf8'),
  ) as Report
  const report: Report = {
    ...before,
    run: { ...before.run, id: '20260102T030405Z-trixie-x86_64-1', command: ['systemvm-image', 'build'] },
    source: { commit: '0123456789abcdef0123456789abcdef01234567', changed: [] },
    pinned: { snapshot: null, lock: null },
    stages: stages.map(({ name, key }) => ({
      ...(before.stages[0] as Report['stages'][number]),
      name,
      key,
      layer: { sha256: digestOf('a'), sizeBytes: 1000 },
    })),
    final: { key, sha256: digestOf('a'), sizeBytes: 1000 },
    images: results,
    verifications: verified ? results.map(verificationOf) : [],
    ...over,
  }
  write(join(folder, 'runs', report.run.id, 'report.json'), reportSchema.parse(report))
  for (const verification of report.verifications ?? []) await writeVerdict(folder, verification, 'questions')
  if (recorded)
    write(inputsPath(folder, key), inputsOf(image, [...stages, { name: 'repack', key }], packages))
}

function write(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, JSON.stringify(value))
}

function makeFiles(
  folder: string,
  packages: Readonly<Record<string, string>>,
  contentMiB: number,
): readonly [string, string] {
  const paragraphs = Object.entries(packages).map(
    ([name, version]) =>
      `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\n`,
  )
  const work = join(folder, 'work')
  const tree = makeTree(join(work, 'tree'), {
    'etc/fstab': 'LABEL=root / ext4 defaults 0 1\n',
    'var/lib/dpkg/status': `${paragraphs.join('\n')}\n`,
    ...(contentMiB > 0 && { content: randomBytes(contentMiB * 2 ** 20) }),
  })
  const sizeMiB = 10 + Math.ceil(contentMiB * 1.1)
  makeFilesystem(join(work, 'root'), { type: 'ext4', sizeMiB, from: tree, label: 'root' })
  const images = join(folder, 'images')
  mkdirSync(images, { recursive: true })
  const [kvm, raw] = [join(images, 'tiny-1.0-x86_64-kvm.qcow2'), join(images, 'tiny-1.0-x86_64-ovm.raw')]
  const table = `label: dos\nunit: sectors\n1 : start=2048, size=${sizeMiB * 2048}, type=83, bootable\n`
  makeDisk(raw, sizeMiB + 4, table, { 2048: join(work, 'root') })
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, kvm])
  return [kvm, raw]
}

async function describe(
  file: string,
  target: string,
  format: string,
  folder: string,
  madeFrom: string,
): Promise<ImageResult> {
  const { size, blocks } = statSync(file)
  return {
    target,
    format,
    path: file.slice(folder.length + 1),
    sizeBytes: size,
    allocatedBytes: blocks * 512,
    virtualSizeBytes: statSync(join(folder, 'images', 'tiny-1.0-x86_64-ovm.raw')).size,
    ...(await computeChecksums(file, new AbortController().signal)),
    build_time: 1,
    madeFrom,
  }
}

function verificationOf({ path, target, format, sha256 }: ImageResult) {
  const check = { id: 'A2', title: 'a check', group: 'file', at: 'file', observed: 'well', seconds: 0 }
  return {
    path,
    target,
    format,
    sha256,
    status: 'passed' as const,
    cached: false,
    seconds: 1,
    accelerator: 'tcg',
    scenes: [],
    checks: [{ ...check, status: 'passed' as const }],
  }
}

function inputsOf(
  { variant, installer }: ResolvedImage,
  stages: readonly { readonly name: string; readonly key: string }[],
  packages: Readonly<Record<string, string>>,
): Inputs {
  return {
    version: 1,
    variant,
    installer,
    snapshot: null,
    archives: [
      {
        suite: 'trixie',
        url: 'http://deb.debian.org/debian',
        codename: 'trixie',
        date: '2026-01-01T00:00:00.000Z',
        sha256: digestOf('b'),
        signers: ['A'.repeat(40)],
      },
    ],
    packages: Object.entries(packages).map(([name, version]) => ({
      name,
      version,
      architecture: 'amd64',
      sha256: digestOf('c'),
      file: `pool/${name}.deb`,
      licenses: ['MIT', 'custom-one'],
    })),
    layers: [
      {
        name: 'base',
        key: digestOf('d'),
        sha256: digestOf('e'),
        script: null,
        files: {},
        scripts: [digestOf('f')],
        installerFiles: {},
        tools: { mmdebstrap: '1.3.5' },
      },
      ...stages.map(({ name, key }) => ({
        name,
        key,
        sha256: digestOf('a'),
        script: digestOf('1'),
        files: {},
        scripts: [],
        installerFiles: {},
        tools: { packer: '1.6.6' },
      })),
    ],
    templates: { 'build.pkr.hcl.hbs': `644 ${digestOf('2')}` },
  }
}
