/**
 * What we write for CloudStack's registration, read by CloudStack's own readers: the class by which a management server
 * upgrades its system VMs, its setup for the command line, and the scripts that build and seed its packages.
 * `CLOUDSTACK_SOURCE` is a tree of 4.20.1 or newer; the class needs all of it, Maven and Java 17.
 */

import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Arch } from '../../src/arch.ts'
import { defaultPipeline, loadPipeline } from '../../src/config/load.ts'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { parseSections, writeMetadata } from '../../src/export/metadata.ts'
import { exportImages } from '../../src/make/export-images.ts'
import type { ImageResult } from '../../src/report/report.ts'
import type { Layer } from '../../src/store/layer-record.ts'
import { useFolder } from '../support/folder.ts'
import { compileServer, ownClass, templatesFolder, whyNoServer } from './java-reader.ts'
import { describeWithSource, cloudstackSource as source } from './tree.ts'

const setup = join(source, 'client/bindir/cloud-setup-management.in')
const registrar = fileURLToPath(new URL('./readers/setup-management.py', import.meta.url))
const readSource = (path: string) => readFileSync(join(source, path), 'utf8')

const path = useFolder()
let made = ''
let mirror: Server
let mirrorUrl = ''
let images: readonly ResolvedImage[]
/** Results of the images that CloudStack finds by itself. */
const canonical = new Map<Arch, readonly ImageResult[]>()
/** What is served, and what a package of a management server has in it. */
const repository = (...names: string[]) => join(made, 'repository', '4.22', ...names)
const file = (end: string, arch: Arch = 'x86_64') => `systemvmtemplate-4.22.0-${arch}-${end}`

beforeAll(async () => {
  if (source === '') return
  made = mkdtempSync(join(tmpdir(), 'metadata-'))
  await serve()
  const values = {
    formats: 'cloudstack',
    downloadUrl: 'http://systemvm.example.org/templates/4.22',
    disk: { sizeMiB: 1260 },
  }
  const pipeline = await loadPipeline(defaultPipeline, [{ source: 'the test', values }])
  images = pipeline.images
  const disk = join(made, 'disk.qcow2')
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', disk, '1260M'])
  await execa('qemu-io', ['-c', 'write -q -P 0x41 0 512k', disk])
  for (const image of images) {
    const results = await exportImages({
      image,
      layer: { key: image.variant, sha256: image.variant } as Layer,
      layerDisk: disk,
      outFolder: made,
      estimate: () => undefined,
      emit: () => undefined,
      signal: new AbortController().signal,
    })
    if (image.label === undefined) canonical.set(image.arch, results)
  }
})

afterAll(() => {
  mirror?.close()
  rmSync(made, { recursive: true, force: true })
})

/** A mirror of the repository, at another address than the one that its files are said to come from. */
async function serve(): Promise<void> {
  mirror = createServer(({ url = '' }, response) => {
    const asked = join(made, 'repository', url.replace(/^\/mirror\/+/, ''))
    if (!url.startsWith('/mirror/') || !existsSync(asked)) return void response.writeHead(404).end()
    const content = readFileSync(asked)
    response.writeHead(200, { 'content-length': content.length }).end(content)
  })
  await new Promise<void>((listening) => mirror.listen(0, '127.0.0.1', listening))
  mirrorUrl = `http://127.0.0.1:${(mirror.address() as { port: number }).port}/mirror`
}

/** Setups before that of 4.23 bring no templates. */
function whyNoSetup(): string | undefined {
  if (source === '') return 'CLOUDSTACK_SOURCE names no folder'
  const text = existsSync(setup) ? readFileSync(setup, 'utf8') : ''
  return text.includes('--systemvm-templates') ? undefined : `${source} has none that brings templates`
}

/** The folder of a management server's package, with all files or with the metadata alone. */
function packageFolder(folder: string, names = readdirSync(repository())): string {
  mkdirSync(folder, { recursive: true })
  for (const name of names) linkSync(repository(name), join(folder, name))
  return folder
}

describeWithSource('what a build with formats: cloudstack leaves', () => {
  it('is in the folder of the release, under the names of package builds, with sums', async () => {
    const names = ['kvm.qcow2.bz2', 'xen.vhd.bz2', 'hyperv.vhd.zip', 'vmware.ova', 'ovm.raw.bz2'].map((end) =>
      file(end),
    )
    expect(readdirSync(repository())).toEqual(
      expect.arrayContaining([...names, 'md5sum.txt', 'sha512sum.txt', 'metadata.ini']),
    )
    for (const list of ['md5sum', 'sha512sum'])
      await execa(list, ['--check', '--status', `${list}.txt`], { cwd: repository() })
  })

  it('says of each template what CloudStack says of its own, built from our list of sums', async () => {
    const version = '4.22.0.0'
    const sumsOf = /SOURCEFILE=.*?(md5|sha512)sum\.txt/.exec(
      readSource('engine/schema/templateConfig.sh'),
    )?.[1]
    const folder = path('dist/systemvm-templates')
    mkdirSync(folder, { recursive: true })
    cpSync(join(source, 'engine/schema/templateConfig.sh'), path('templateConfig.sh'))
    cpSync(repository(`${sumsOf}sum.txt`), join(folder, `${sumsOf}sum.txt`))
    await execa('bash', ['templateConfig.sh', version], { cwd: path() })
    const theirs = readFileSync(join(folder, 'metadata.ini'), 'utf8')
    const ours = readFileSync(repository('metadata.ini'), 'utf8')
    expect(ours).toContain(`[default]\nversion = ${version}\n`)
    const sections = [...parseSections(theirs)]
    expect(sections.map(([name]) => name).sort()).toEqual([
      'hyperv',
      'kvm-aarch64',
      'kvm-x86_64',
      'lxc',
      'ovm3',
      'vmware',
      'xenserver',
    ])
    const withoutPlace = (lines = '') => lines.replace(/^downloadurl = .*\/+/m, 'downloadurl = ')
    for (const [name, lines] of sections)
      expect(withoutPlace(parseSections(ours).get(name)), name).toBe(withoutPlace(lines))
  })

  it('names guest operating systems that the database has', async () => {
    const names = readFileSync(repository('metadata.ini'), 'utf8').match(/(?<=^guestos = ).*/gm)
    const upgrades = ['resources/META-INF/db', 'java/com/cloud/upgrade/dao'].map((part) =>
      join(source, 'engine/schema/src/main', part),
    )
    for (const name of new Set(names)) {
      const found = await execa('grep', ['-r', '-l', '-F', name, ...upgrades], { reject: false })
      expect(found.stdout, name).not.toBe('')
    }
  })

  it.each([
    ['kvm.qcow2.bz2', 'qcow2'],
    ['xen.vhd.bz2', 'vhd'],
    ['hyperv.vhd.zip', 'vhd'],
    ['vmware.ova', 'ova'],
  ])('is unpacked by the script that seeds secondary storage: %s', async (end, extension) => {
    cpSync(repository(file(end)), path('template'))
    const script = join(source, 'scripts/storage/secondary/createtmplt.sh')
    const words = ['-n', `t.${extension}`, '-t', path('seeded'), '-f', path('template')]
    await execa('bash', [script, '-s', '2', '-d', 'SystemVM', '-u', ...words])
    const packed = repository(file(end))
    const unpack = end.endsWith('.bz2') ? 'bunzip2 -c' : end.endsWith('.zip') ? 'unzip -p' : 'cat'
    await execa('sh', ['-c', `${unpack} "$1" | cmp - "$2"`, 'sh', packed, path('seeded', `t.${extension}`)])
  })
})

const noServer = whyNoServer(source)

// Skipped where the class of the management server cannot be compiled.
describe.skipIf(noServer !== undefined)(`the management server (${noServer ?? 'its own class'})`, () => {
  let classes = ''
  let ask: Awaited<ReturnType<typeof compileServer>>
  beforeAll(async () => {
    classes = mkdtempSync(join(tmpdir(), 'reader-'))
    ask = await compileServer(source, classes)
  })
  afterAll(() => rmSync(classes, { recursive: true, force: true }))

  it.each<[string, string, Arch?]>([
    ['KVM/x86_64', 'kvm.qcow2.bz2'],
    ['KVM/aarch64', 'kvm.qcow2.bz2', 'aarch64'],
    ['LXC/x86_64', 'kvm.qcow2.bz2'],
    ['XenServer/x86_64', 'xen.vhd.bz2'],
    ['VMware/x86_64', 'vmware.ova'],
    ['Hyperv/x86_64', 'hyperv.vhd.zip'],
    ['Ovm3/x86_64', 'ovm.raw.bz2'],
  ])('would upgrade %s to our %s', async (asked, end, arch) => {
    packageFolder(path(templatesFolder))
    const { version, parsed, verdicts } = await ask(path(), asked)
    expect([version, parsed]).toEqual(['4.22.0.0', '4.22.0.0'])
    expect(verdicts[asked]).toMatchObject({ verdict: 'accepted', file: file(end, arch) })
  })

  it('would stop at another file than the one that was registered, and at none', async () => {
    packageFolder(path(templatesFolder), ['metadata.ini'])
    writeFileSync(path(templatesFolder, file('kvm.qcow2.bz2')), 'another')
    const { verdicts } = await ask(path(), 'KVM/x86_64', 'KVM/aarch64')
    for (const asked of ['KVM/x86_64', 'KVM/aarch64']) {
      expect(verdicts[asked]?.verdict, asked).toMatch(/^system ?vm template not found/i)
    }
  })

  const knowsMirrors = noServer === undefined && readSource(ownClass).includes('.download.repository')
  // Skipped where the release cannot be told of a mirror: 4.23 is the first.
  it.skipIf(!knowsMirrors)(
    'brings what its package lacks from the mirror that server.properties names',
    async () => {
      packageFolder(path(templatesFolder), ['metadata.ini'])
      writeFileSync(path('server.properties'), `system.vm.templates.download.repository=${mirrorUrl}\n`)
      const { verdicts } = await ask(path(), 'XenServer/x86_64')
      const url = `${mirrorUrl}/4.22/${file('xen.vhd.bz2')}`
      expect(verdicts['XenServer/x86_64']).toMatchObject({ verdict: 'accepted', url })
      expect(existsSync(path(templatesFolder, file('xen.vhd.bz2')))).toBe(true)
    },
  )
})

const noSetup = whyNoSetup()

// Skipped where there is no such setup.
describe.skipIf(noSetup !== undefined)(`cloudstack-setup-management (${noSetup ?? 'its own'})`, () => {
  const names = { 'kvm-x86_64': 'kvm.qcow2.bz2', xenserver: 'xen.vhd.bz2', vmware: 'vmware.ova' }
  const run = async (...words: string[]) => {
    const folder = path('templates')
    if (!existsSync(folder)) packageFolder(folder, ['metadata.ini'])
    const options = { all: true, reject: false } as const
    const { exitCode, all } = await execa('python3', [registrar, setup, folder, ...words], options)
    return { exitCode, all, brought: readdirSync(folder).filter((name) => name !== 'metadata.ini') }
  }
  const fromMirror = () => ['--systemvm-templates-repository', mirrorUrl]

  it.each([
    ['nothing', [], ['kvm-x86_64']],
    ['xenserver', ['--systemvm-templates', 'xenserver'], ['kvm-x86_64', 'xenserver']],
    ['vmware', ['--systemvm-templates', 'vmware'], ['kvm-x86_64', 'vmware']],
    ['two', ['--systemvm-templates', 'xenserver,vmware'], ['kvm-x86_64', 'xenserver', 'vmware']],
  ] as const)(
    'told %s brings the templates from a mirror and finds their sums right',
    async (_told, words, wanted) => {
      const { exitCode, all, brought } = await run(...words, ...fromMirror())
      expect(exitCode, all).toBe(0)
      expect(all).not.toContain('ERROR')
      expect(all?.match(/downloaded and verified successfully/g)).toHaveLength(wanted.length)
      expect(brought.sort()).toEqual(wanted.map((name) => file(names[name])).sort())
    },
  )

  it('takes a mirror with a slash at its end as well', async () => {
    const { exitCode, all } = await run('--systemvm-templates-repository', `${mirrorUrl}/`)
    expect(exitCode, all).toBe(0)
    expect(all).toContain('downloaded and verified successfully')
  })

  it('told all asks for aarch64, which is registered', async () => {
    const { exitCode, all } = await run('--systemvm-templates', 'all', ...fromMirror())
    expect(exitCode, all).toBe(0)
    expect(all).toMatch(/kvm-aarch64 System VM template downloaded and verified/)
    expect(all).not.toContain('ERROR')
  })

  it('told all stops where no image of aarch64 was built', async () => {
    mkdirSync(path('templates'))
    const image = images.find(({ label }) => label === undefined) as ResolvedImage
    await writeMetadata(path('templates'), image, canonical.get('x86_64') ?? [])
    const { exitCode, all } = await run('--systemvm-templates', 'all', ...fromMirror())
    expect([exitCode, all]).toEqual([1, expect.stringContaining('No metadata found for kvm-aarch64')])
  })
})
