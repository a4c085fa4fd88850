import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import picocolors from 'picocolors'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { renderDoctor } from '../../../src/cli/views/doctor.ts'
import type { HostContext, HostImage, HostInput } from '../../../src/doctor/check.ts'
import { checkAccount } from '../../../src/doctor/checks/host.ts'
import { checkUdebs } from '../../../src/doctor/checks/mirrors.ts'
import { type DoctorReport, diagnose } from '../../../src/doctor/doctor.ts'
import { contextOf, hostChecks, requireFit } from '../../../src/doctor/host-checks.ts'
import { PipelineError } from '../../../src/errors.ts'
import { sampleImage } from '../../support/pipelines.ts'

let folder: string
let input: HostInput

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'doctor-'))
  input = {
    images: [],
    outDir: join(folder, 'out', 'not', 'yet'),
    neededBytes: 1,
    neededMemoryMiB: 1,
    kernels: [],
    cacheDir: join(folder, 'cache'),
    forceAccelerator: 'tcg',
  }
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

const find = (report: DoctorReport, id: string) => report.checks.find((check) => check.id === id)

describe('the doctor', () => {
  it('looks at the host even where nothing is to be built', async () => {
    const report = await diagnose(input)
    for (const id of ['system', 'node', 'out-writable', 'disk-space', 'memory']) {
      expect(find(report, id)).toMatchObject({ status: 'ok' })
    }
    expect(find(report, 'disk-space')?.found).toContain(`free in ${folder}`)
  })

  it('finds too little space, with both numbers', async () => {
    const report = await diagnose({ ...input, neededBytes: 2 ** 60 })
    const { status, found } = find(report, 'disk-space') ?? {}
    expect(status).toBe('fault')
    expect(found).toMatch(/\d\.\d GiB free in .*, 1073741824\.0 GiB needed/)
    expect(report.isFit).toBe(false)
  })

  it('warns of too little memory, which is no fault', async () => {
    const report = await diagnose({ ...input, neededMemoryMiB: 2 ** 40 })
    expect(find(report, 'memory')).toMatchObject({ status: 'warning' })
  })

  it('takes the accelerator that a person chose', async () => {
    const image = { suite: 'trixie', arch: 'x86_64', debianArch: 'amd64' } as const
    const mirror = { debian: 'http://127.0.0.1:9/d', security: 'http://127.0.0.1:9/s', components: ['main'] }
    const images = [{ ...image, mirror: { ...mirror, keyring: join(folder, 'none.gpg') } }]
    const report = await diagnose({ ...input, images })
    expect(find(report, 'accelerator:x86_64')).toMatchObject({
      status: 'ok',
      found: expect.stringContaining('chosen by hand'),
    })
  })

  it('stops with its caller', async () => {
    const reason = new Error('interrupted')
    await expect(diagnose({ ...input, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('the mirrors', () => {
  let server: Server
  let asked: string[]
  let respond: (answer: ServerResponse) => void
  let images: readonly (Pick<HostImage, 'suite' | 'arch'> & Required<Pick<HostImage, 'mirror'>>)[]

  beforeEach(async () => {
    asked = []
    server = createServer((incoming, answer) => {
      asked.push(incoming.url ?? '')
      respond(answer)
    })
    respond = (answer) => answer.writeHead(404).end()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const keyring = join(folder, 'archive.gpg')
    writeFileSync(keyring, '')
    const mirror = { debian: `${url}/debian`, security: `${url}/security`, components: ['main'], keyring }
    const image = { arch: 'x86_64', debianArch: 'amd64', mirror } as const
    images = [
      { ...image, suite: 'trixie' },
      { ...image, suite: 'bookworm' },
      { ...image, suite: 'trixie' },
    ]
  })

  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  it('are asked once for each suite that is built, and every fault is gathered', async () => {
    const report = await diagnose({ ...input, images })
    expect([...asked].sort()).toEqual([
      '/debian/dists/bookworm-updates/InRelease',
      '/debian/dists/bookworm/InRelease',
      '/debian/dists/trixie-updates/InRelease',
      '/debian/dists/trixie/InRelease',
      '/security/dists/bookworm-security/InRelease',
      '/security/dists/trixie-security/InRelease',
    ])
    const faults = report.checks.filter((check) => check.id.startsWith('mirror:'))
    expect(faults).toHaveLength(6)
    for (const check of faults) {
      expect(check).toMatchObject({ status: 'fault', found: expect.stringContaining('has no suite') })
      expect(check.advice).toBeTruthy()
    }
    expect(report.isFit).toBe(false)
    expect(find(report, 'node')).toMatchObject({ status: 'ok' })
  })

  it('are not asked without their keyring, which is a fault of its own', async () => {
    const bare = images.map((image) => ({
      ...image,
      mirror: { ...image.mirror, keyring: join(folder, 'none.gpg') },
    }))
    const report = await diagnose({ ...input, images: bare })
    expect(asked).toEqual([])
    const keyrings = report.checks.filter((check) => check.title === 'keyring')
    expect(keyrings).toMatchObject([{ status: 'fault', found: expect.stringContaining('none.gpg') }])
  })

  it('are at fault when they pack their answers', async () => {
    respond = (answer) => answer.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('a release'))
    const report = await diagnose({ ...input, images })
    const said = report.checks.filter(({ status }) => status === 'fault').map(({ found }) => found)
    expect(said.join('\n')).toContain('with the encoding "gzip", which was not requested')
  })
})

describe('the index of udebs', () => {
  const archive = {
    suite: 'trixie',
    components: ['main'],
    arch: 'amd64',
    keyring: '/none.gpg',
  } as const
  let server: Server
  beforeEach(async () => {
    server = createServer((_, answer) => answer.end('not what was signed'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })
  const ask = (isWanted: boolean, releaseOf?: HostContext['releaseOf']) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const index = 'main/debian-installer/binary-amd64/Packages.gz'
    const release = {
      codename: 'trixie',
      suite: 'stable',
      date: new Date(0),
      signers: ['key'],
      files: new Map([[index, { sha256: '0'.repeat(64), size: 1 }]]),
      sha256: '',
    }
    const context = { images: [], task: 'doctor', releaseOf: releaseOf ?? (async () => release) } as const
    return checkUdebs({ ...archive, url }, isWanted, context)
  }

  it('that is broken is a fault for an image that is installed by it, and else a warning', async () => {
    await expect(ask(true)).rejects.toMatchObject({ code: 'mirror-file-corrupt' })
    expect(await ask(false)).toMatchObject({
      status: 'warning',
      found: expect.stringContaining('not the file that'),
      advice: expect.stringContaining('only debian-installer needs it'),
    })
  })

  it('of an archive that is not proved is not mentioned beside that', async () => {
    const unproved = new PipelineError({ code: 'mirror-unsigned', message: 'not signed' })
    const refuse = async () => {
      throw unproved
    }
    expect(await ask(false, refuse)).toEqual([])
    await expect(ask(true, refuse)).rejects.toBe(unproved)
  })
})

describe('a task', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
  })

  it('is refused only for what it cannot do without', () => {
    const tasks = hostChecks.flatMap((check) => check.tasks.map((task) => `${task}: ${check.id}`))
    expect(tasks.sort()).toEqual([
      'build: account',
      'build: archiver',
      'build: path',
      'build: tools',
      'build: work-folder',
      'export: archiver',
      'export: work-folder',
      'plan: disk-space',
      'plan: work-folder',
      'planned-build: disk-space',
      'planned-build: mirror',
      'run: account',
      'run: tools',
      'run: work-folder',
      'shell: account',
      'shell: tools',
      'shell: work-folder',
      'verify: account',
      'verify: tools',
      'verify: work-folder',
    ])
  })

  it('is refused to a number without an account, which OpenSSH does not run for', () => {
    expect(checkAccount({ name: 'builder', text: 'builder' })).toMatchObject({ status: 'ok' })
    const finding = checkAccount({ name: undefined, text: 'uid 54321' })
    expect(finding).toMatchObject({ status: 'fault', error: { code: 'no-account', exitCode: 3 } })
    expect(finding.found).toMatch(/^uid 54321 has no entry/)
  })

  it('is asked for namespaces only where an image is installed by mmdebstrap, and not by root', () => {
    const { probes } = hostChecks.find(({ id }) => id === 'user-namespaces') as (typeof hostChecks)[number]
    const asked = (uid: number, ...installers: readonly ('bootstrap' | 'debian-installer')[]) => {
      vi.spyOn(process as { getuid: () => number }, 'getuid').mockReturnValue(uid)
      return probes(contextOf('doctor', { images: installers.map((installer) => ({ installer })) })).length
    }
    expect(asked(1000)).toBe(1)
    expect(asked(1000, 'debian-installer', 'bootstrap')).toBe(1)
    expect(asked(1000, 'debian-installer')).toBe(0)
    expect(asked(0, 'bootstrap')).toBe(0)
  })

  it('looks for the program of a kind of archive once, however many variants have it', async () => {
    const { formats } = await sampleImage(folder)
    const image = { targets: ['raw'], formats: { ...formats, raw: { archive: 'bz2' } } } as const
    const { probes } = hostChecks.find(({ id }) => id === 'archiver') as (typeof hostChecks)[number]
    const ids = probes(contextOf('doctor', { images: [image, image] })).map(({ id }) => id)
    expect(ids).toEqual(['archiver:raw'])
  })

  it('is told of every tool that is missing at once, and can do without git', async () => {
    vi.stubEnv('PATH', folder)
    const refused = requireFit('build', { images: [{ arch: 'x86_64' }] })
    await expect(refused).rejects.toMatchObject({
      code: 'tools',
      exitCode: 3,
      hint: 'install them with: npm run setup -- --yes',
      message: expect.stringMatching(/packer: nothing.*qemu-img: nothing/s),
    })
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('git:') })
    const report = await diagnose(input)
    expect(find(report, 'tool:git')).toMatchObject({ status: 'warning' })
    expect(find(report, 'tool:packer')).toEqual({
      id: 'tool:packer',
      title: 'tools',
      status: 'fault',
      found: 'packer 1.6 or newer is needed, found nothing',
      advice: 'npm run setup -- --yes installs packer.',
    })
  })

  it('is refused a path that Packer would take for a template', async () => {
    const refused = requireFit('build', { images: [], outDir: '/out/{{x}}' })
    await expect(refused).rejects.toMatchObject({ code: 'path-braces', exitCode: 2 })
  })

  it('is refused an archive that nothing here packs', async () => {
    const { formats } = await sampleImage(folder)
    vi.stubEnv('PATH', folder)
    const image = { targets: ['raw', 'vmware'], formats: { ...formats, raw: { archive: 'bz2' } } } as const
    await expect(requireFit('export', { images: [image] })).rejects.toMatchObject({
      code: 'tools',
      message: 'formats.raw.archive needs the program lbzip2, and this host has none (package lbzip2)',
    })
    const plain = { targets: ['vmware'], formats } as const
    expect(await requireFit('export', { images: [plain] })).toEqual([])
  })
})

describe('the report', () => {
  const report: DoctorReport = {
    isFit: false,
    checks: [
      { id: 'node', title: 'Node.js', status: 'ok', found: '20.1.0' },
      {
        id: 'memory',
        title: 'memory',
        status: 'warning',
        found: '900 MiB available',
        advice: 'end programs.',
      },
      {
        id: 'disk-space',
        title: 'disk space',
        status: 'fault',
        found: 'none free\nanywhere',
        advice: 'free some.',
      },
    ],
  }

  it('is aligned text with a mark on each line and advice below', () => {
    expect(renderDoctor(report, picocolors.createColors(false))).toBe(
      [
        '✔ Node.js     20.1.0',
        '! memory      900 MiB available',
        '              → end programs.',
        '✖ disk space  none free',
        '              anywhere',
        '              → free some.',
        '',
        'not fit to build: 1 fault, 1 warning',
        '',
      ].join('\n'),
    )
  })

  it('is the same text in color', () => {
    const colored = renderDoctor(report, picocolors.createColors(true))
    expect(colored).toContain('\u001b[31m✖\u001b[39m disk space')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences are what is taken out
    expect(colored.replaceAll(/\u001b\[\d+m/g, '')).toBe(renderDoctor(report, picocolors.createColors(false)))
  })

  it('says what is fit', () => {
    const fit = { checks: report.checks.slice(0, 2), isFit: true }
    expect(renderDoctor(fit, picocolors.createColors(false))).toContain('fit to build: 0 faults, 1 warning')
  })
})
