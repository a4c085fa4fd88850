import { type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { takeLock } from '../../../src/host/lock.ts'
import { markOutput } from '../../../src/host/out-folder.ts'
import { hostTools } from '../../../src/host/tool-table.ts'
import { findProgram, findTools } from '../../../src/host/tools.ts'
import { neededBytes } from '../../../src/plan/room.ts'
import { type BaseParts, keyOf } from '../../../src/store/layer-key.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { runHere } from '../../support/output.ts'
import { findPort } from '../../support/registry.ts'

const program = fileURLToPath(new URL('../../../bin/systemvm-image.js', import.meta.url))
/** Folder of Debian's UEFI firmware for PCs. */
const firmware = '/usr/share/OVMF'
const tiny = fileURLToPath(new URL('../../fixtures/tiny/pipeline.ts', import.meta.url))

interface Ended {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(command: string, words: readonly string[], options: SpawnOptions) {
  // What a CI or a colorful terminal sets must not decide a test.
  const { CI: _ci, FORCE_COLOR: _force, NO_COLOR: _no, SOURCE_DATE_EPOCH: _date, ...env } = process.env
  const child = spawn(command, words, { env, timeout: 300_000, ...options, stdio: 'pipe' })
  const text = { stdout: '', stderr: '' }
  for (const from of ['stdout', 'stderr'] as const) {
    child[from]?.on('data', (chunk: Buffer) => {
      text[from] += chunk.toString()
    })
  }
  const ended = once(child, 'close').then(([exitCode]): Ended => ({ exitCode: exitCode as number, ...text }))
  return { child, ended }
}

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder for one test, and the program as a user there would run it. Tests of this file run side by side. */
function place() {
  const folder = mkdtempSync(join(tmpdir(), 'test-'))
  folders.push(folder)
  const path = (...names: string[]) => join(folder, ...names)
  const begin = (words: readonly string[], options: SpawnOptions = {}) =>
    start(process.execPath, [program, ...words], { cwd: folder, ...options })
  const run = (...words: string[]) => begin(words).ended
  const build = (...words: string[]) => run('build', '--pipeline', tiny, ...words)
  return { path, begin, run, build, call: callFrom(folder), snapshot: () => snapshotOf(folder) }
}

/** The same without a process of its own, which costs a second: for tests that run one after the other. */
function callFrom(folder: string) {
  return async (...words: string[]): Promise<Ended> => {
    const before = process.cwd()
    process.chdir(folder)
    try {
      return await runHere(...words)
    } finally {
      process.chdir(before)
    }
  }
}

/** Everything below a folder, with sizes and dates: what has to stay as it is. */
function snapshotOf(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    const file = join(folder, name)
    const found = statSync(file)
    const line = `${file} ${found.size} ${found.mtimeMs}`
    return found.isDirectory() ? [line, ...snapshotOf(file)] : [line]
  })
}

const verbs = ['plan', 'render', 'build', 'doctor', 'setup', 'shell', 'diff', 'store', 'clean']
const pages = [...verbs.filter((verb) => verb !== 'store'), 'store ls', 'store verify', 'store prune']

describe.concurrent('help', () => {
  it('lists the verbs and the exit codes, and is no mistake', async () => {
    const { exitCode, stdout, stderr } = await place().run('--help')
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^ {2}${verb}\\b`, 'm'))
    expect(stdout).toMatch(/0 done, 1 build failed, 2 bad configuration or usage, 3 host not fit/)
  })

  it('has the version beside it', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
    expect(await place().run('--version')).toMatchObject({ exitCode: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('is what one gets without a verb, on stderr', async () => {
    const { exitCode, stdout, stderr } = await place().run()
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toContain('Usage: systemvm-image')
  })
})

describe('help of a verb', () => {
  it.each(pages)('%s: says what it does and describes every option', async (verb) => {
    const { exitCode, stdout, stderr } = await place().call(...verb.split(' '), '--help')
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toMatch(new RegExp(`^Usage: systemvm-image ${verb} \\[options\\].*\\n\\n\\S`))
    const options = stdout.split('\n').filter((line) => /^ {2}-/.test(line))
    expect(options.length).toBeGreaterThan(1)
    for (const option of options) expect(option).toMatch(/^ {2}-\S+(, --\S+)?( <[^>]+>)? +\S/)
  })
})

/** Files for mistakes to be made with. */
const bad = {
  'package.json': '{"type": "module"}',
  'no-yaml.yaml': 'a: [1\n',
  'no-pipeline.ts': 'export const x = 1\n',
  'throws.ts': "throw new Error('by intent')\n",
  'undefined.ts':
    "const disk = {\n  // a missing name\n  size: 'missing',\n  name: missing,\n}\nexport default disk\n",
  'no-typescript.ts': 'export default {{{\n',
}

/** Makes a mistake and expects to be told. */
async function expectRefusal(
  how: 'run' | 'call',
  words: readonly string[],
  said: readonly string[],
): Promise<void> {
  const made = place()
  for (const [name, content] of Object.entries(bad)) writeFileSync(made.path(name), content)
  const before = made.snapshot()
  const { exitCode, stdout, stderr } = await made[how](...words)
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  for (const text of said) expect(stderr).toContain(text)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(made.snapshot()).toEqual(before)
}

describe.concurrent('a mistake is exit status 2, says what is wrong, and writes nothing', () => {
  it.each([
    ['an unknown verb', ['biuld'], ["unknown command 'biuld'", 'Did you mean build?']],
    [
      'an unknown option',
      ['build', '--accellerator', 'kvm'],
      ["unknown option '--accellerator'", 'Did you mean --accelerator?'],
    ],
    [
      'a bad value',
      ['build', '--set', 'disk.sizeMiB=5000'],
      [
        'disk.sizeMiB: must be a multiple of 126 MiB',
        'found 5000 (--set disk.sizeMiB)',
        'nothing was touched',
      ],
    ],
    ['a missing pipeline', ['plan', '--pipeline', 'none.ts'], ['there is no pipeline file', 'none.ts']],
    [
      'a module that is no pipeline',
      ['plan', '--pipeline', 'no-pipeline.ts'],
      ['no-pipeline.ts has no pipeline as its default export'],
    ],
    [
      'a pipeline that throws',
      ['plan', '--pipeline', 'throws.ts'],
      ['throws.ts could not be loaded: by intent'],
    ],
    [
      'a pipeline with a name that is not defined, shown where it is used',
      ['plan', '--pipeline', 'undefined.ts'],
      ['undefined.ts could not be loaded: missing is not defined', 'undefined.ts:4:9', '^^^^^^^'],
    ],
    [
      'a pipeline that is no TypeScript',
      ['plan', '--pipeline', 'no-typescript.ts'],
      ['no-typescript.ts does not compile', 'no-typescript.ts:1:'],
    ],
  ])('%s', (_case, words, said) => expectRefusal('run', words, said))

  // esbuild waits for a pipe, and reads such devices and files until there is no memory left.
  it.each<[string, string, (file: string) => unknown]>([
    ['a pipe', 'is not a file', (file) => spawnSync('mkfifo', [file])],
    ['a link to a device', 'is not a file', (file) => symlinkSync('/dev/zero', file)],
    ['a huge file', 'has more than', writeHuge],
  ])('%s in the place of a module or of its settings', async (_what, fault, make) => {
    const { path, run } = place()
    for (const name of ['module.ts', 'package.json', 'tsconfig.json']) {
      writeFileSync(path('pipeline.ts'), "import { x } from './module.ts'\nexport default x\n")
      writeFileSync(path('module.ts'), 'export const x = 1\n')
      rmSync(path(name), { force: true })
      make(path(name))
      const { exitCode, stderr } = await run('plan', '--pipeline', 'pipeline.ts')
      expect(exitCode, stderr).toBe(2)
      expect(stderr).toContain(`pipeline.ts does not compile: ${path(name)} ${fault}`)
      rmSync(path(name))
    }
  })
})

function writeHuge(file: string): void {
  writeFileSync(file, '')
  truncateSync(file, 2 ** 40)
}

describe('so is', () => {
  it.each([
    ['an unknown accelerator', ['build', '--accelerator', 'xen'], ['kvm, tcg']],
    ['a word too much', ['build', 'bookworm'], ['too many arguments']],
    [
      'an unknown variant',
      ['build', '--variant', 'buster-x86_64'],
      ['there is no variant "buster-x86_64"', 'bookworm-x86_64'],
    ],
    [
      'an unknown stage',
      ['plan', '--set', 'stages.cleanupp.x=1'],
      ['stages.cleanupp: is not a stage of this pipeline, which has build_time,'],
    ],
    [
      'an unknown setting',
      ['plan', '--set', 'stages.apt_upgrade.backport=true'],
      ['stages.apt_upgrade.backport: is not known here, found true'],
    ],
    [
      'an assignment that is none',
      ['plan', '--set', 'hostname'],
      ['--set needs path=value, found "hostname"'],
    ],
    [
      'a missing file of values',
      ['plan', '--config', 'none.yaml'],
      ['cannot read the configuration file none.yaml: it does not exist (ENOENT)'],
    ],
    [
      'a file of values that is no YAML',
      ['plan', '--config', 'no-yaml.yaml'],
      ['no-yaml.yaml is not valid YAML'],
    ],
  ])('%s', (_case, words, said) => expectRefusal('call', words, said))
})

describe.concurrent('plan', () => {
  it('prints a table on stdout, and touches nothing', async () => {
    const { run, snapshot } = place()
    const { exitCode, stdout, stderr } = await run('plan', '--pipeline', tiny)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toBe('trixie-x86_64')
    expect(lines[1]).toMatch(/^layer +action +key +why$/)
    const rows = lines.slice(2, -3).map((line) => line.split(/ {2,}/))
    expect(rows.map(([name]) => name)).toEqual(['base', 'greet', 'unpack', 'misbehave', 'repack'])
    for (const [, action, key, why] of rows) {
      expect(action).toBe('run')
      expect(key).toMatch(/^[0-9a-f]{12}$/)
      expect(why).toBe('never built')
    }
    expect(lines.at(-3)).toMatch(/^images: to make; about \d.* if guests are emulated$/)
    expect(lines.at(-2)).toBe(
      'room: 8.0 GiB must be free: layers unknown, kvm unknown, a flat disk unknown while images are made',
    )
    expect(lines.at(-1)).toMatch(/^output: .*; [\d.]+ [GT]iB free there, layers take 0 B$/)
    expect(snapshot()).toEqual([])
  })

  it('as JSON is nothing but JSON on stdout', async () => {
    const { run } = place()
    const { exitCode, stdout, stderr } = await run('plan', '--pipeline', tiny, '--json')
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const [image] = JSON.parse(stdout) as {
      variant: string
      layers: { name: string; key: string; action: string }[]
    }[]
    expect(image?.variant).toBe('trixie-x86_64')
    expect(image?.layers.map(({ name, action }) => [name, action])).toEqual([
      ['base', 'run'],
      ['greet', 'run'],
      ['unpack', 'run'],
      ['misbehave', 'run'],
      ['repack', 'run'],
    ])
    for (const { key } of image?.layers ?? []) expect(key).toMatch(/^[0-9a-f]{64}$/)
  })
})

describe('a plan', () => {
  it('shows every variant for --all, and the ones that were asked for', async () => {
    const { call } = place()
    const variantsOf = async (...words: string[]) =>
      (JSON.parse((await call('plan', '--json', ...words)).stdout) as { variant: string }[]).map(
        ({ variant }) => variant,
      )
    expect(await variantsOf('--all')).toEqual([
      'bookworm-x86_64',
      'trixie-x86_64',
      'bookworm-x86_64-uefi',
      'bookworm-aarch64',
      'trixie-aarch64',
    ])
    expect(await variantsOf('--variant', 'bookworm-x86_64')).toEqual(['bookworm-x86_64'])
  })

  it('takes --targets for a variant whose architecture has its own, and refuses what is not there', async () => {
    const { call } = place()
    const plan = (targets: string, variant: string) =>
      call('plan', '--variant', variant, '--targets', targets)
    expect((await plan('hyperv', 'bookworm-x86_64')).exitCode).toBe(0)
    const refused = await plan('kvm,hyperv', 'bookworm-aarch64')
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toContain('hyperv cannot be made for aarch64, and so not for bookworm-aarch64')
  })

  it('takes values from files and --set', async () => {
    const { path, call } = place()
    writeFileSync(path('values.yaml'), 'stages:\n  greet: {greeting: from a file}\n')
    const keyOf = async (...words: string[]) => {
      const { stdout } = await call('plan', '--pipeline', tiny, '--json', ...words)
      const [image] = JSON.parse(stdout) as { layers: { name: string; key: string }[] }[]
      return image?.layers.map(({ key }) => key)
    }
    const [plain, file, set] = [
      await keyOf(),
      await keyOf('--config', 'values.yaml'),
      await keyOf('--set', 'stages.greet.greeting=from a file'),
    ]
    expect(file).toEqual(set)
    expect(file?.[0]).toBe(plain?.[0])
    expect(file?.[1]).not.toBe(plain?.[1])
  })

  it('takes another payload, from a path as it is meant where the command is given', async () => {
    const { path, call } = place()
    mkdirSync(path('payload', 'etc'), { recursive: true })
    writeFileSync(path('payload', 'etc', 'motd'), 'hello\n')
    const keysOf = async (...words: string[]) => {
      const [image] = JSON.parse((await call('plan', '--json', ...words)).stdout) as {
        layers: { name: string; key: string }[]
      }[]
      return Object.fromEntries(image?.layers.map(({ name, key }) => [name, key]) ?? [])
    }
    const [plain, other] = [await keysOf(), await keysOf('--payload', 'payload')]
    expect(other.configure_conntrack).toBe(plain.configure_conntrack)
    expect(other.configure_systemvm_services).not.toBe(plain.configure_systemvm_services)
    const refused = await call('plan', '--payload', 'https://example.org/payload.tgz')
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toContain('must end in #sha256= or #sha512= and the checksum of the tarball')
  })
})

describe('clean', () => {
  /** A place where builds have been. */
  const used = () => {
    const made = place()
    const { path } = made
    for (const name of ['store', 'runs', 'images', 'cache', 'inputs', 'verdicts']) {
      mkdirSync(path('out', name), { recursive: true })
      writeFileSync(path('out', name, 'file'), name)
    }
    writeFileSync(path('out', 'report.json'), '{}')
    writeFileSync(path('out', 'report.html'), '<html>')
    writeFileSync(path('out', 'README.md'), 'mine')
    writeFileSync(path('out', '.systemvm-image'), 'ours')
    return { ...made, left: () => readdirSync(path('out')).sort() }
  }

  it('keeps images and downloads, and names what it removes', async () => {
    const { path, call, left } = used()
    const { exitCode, stdout } = await call('clean')
    expect(exitCode).toBe(0)
    expect(stdout.trimEnd().split('\n')).toEqual(
      ['store', 'runs', 'report.json', 'report.html'].map((name) => path('out', name)),
    )
    expect(left()).toEqual(['.systemvm-image', 'README.md', 'cache', 'images', 'inputs', 'verdicts'])
  })

  it('with --all leaves only what is not ours', async () => {
    const { call, left } = used()
    expect((await call('clean', '--all')).exitCode).toBe(0)
    expect(left()).toEqual(['.systemvm-image', 'README.md'])
  })

  it('with --dry-run names it and removes nothing', async () => {
    const { path, call, snapshot } = used()
    const before = snapshot()
    const { stdout } = await call('clean', '--dry-run')
    expect(stdout).toContain(path('out', 'store'))
    expect(snapshot()).toEqual(before)
  })

  it('of nothing makes nothing', async () => {
    const { path, call } = place()
    const { exitCode, stdout, stderr } = await call('clean', '--out', 'none')
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' })
    expect(stderr).toContain(`nothing to remove in ${path('none')}`)
    expect(existsSync(path('none'))).toBe(false)
  })

  it('removes nothing from a folder that was never built in', async () => {
    const { path, call, snapshot } = used()
    rmSync(path('out', '.systemvm-image'))
    const before = snapshot()
    const { exitCode, stderr } = await call('clean', '--all')
    expect(exitCode).toBe(2)
    expect(stderr).toContain(`${path('out')} is not the output folder of a build`)
    expect(snapshot()).toEqual(before)
  })

  it('is refused while a build runs', async () => {
    const { path, call } = used()
    const lock = await takeLock(path('out'), 'a-build')
    const { exitCode, stderr } = await call('clean')
    await lock.release()
    expect(exitCode).toBe(3)
    expect(stderr).toContain(`process ${process.pid}, run a-build`)
    expect(existsSync(path('out', 'store', 'file'))).toBe(true)
  })
})

describe('store', () => {
  const parts: BaseParts = {
    ...{ format: 3, installer: 'bootstrap', suite: 'trixie', arch: 'x86_64' },
    ...{ scripts: [], command: createHash('sha256').digest('hex') },
  }
  const key = keyOf(parts)

  /** A store with one layer, whose disk is what `disk` says. */
  const withLayer = (disk: string | undefined) => {
    const made = place()
    const { path } = made
    mkdirSync(path('out', 'store'), { recursive: true })
    const checksum = createHash('sha256').update('disk').digest('hex')
    const layer: Layer = {
      ...{ key, name: 'base', parent: null, parts, sha256: checksum, sizeBytes: 4 },
      ...{ createdAt: '2026-01-01T00:00:00Z', buildTimeSeconds: 1, log: '', artifacts: [], bytesWritten: 0 },
      ...{ packages: { added: [], removed: [], upgraded: [] }, tools: {} },
    }
    writeFileSync(path('out', 'store', `${key}.json`), JSON.stringify(layer))
    if (disk !== undefined) writeFileSync(path('out', 'store', `${key}.qcow2`), disk)
    return made
  }

  it.each([
    ['sound', 'disk', 0, ''],
    ['flipped', 'dosk', 4, 'its disk does not match its digest'],
    ['cut short', 'd', 4, 'its disk has 1 bytes instead of 4'],
    ['missing', undefined, 4, 'its disk is missing'],
  ])('verify finds a disk that is %s', async (_case, disk, exitCode, fault) => {
    const { call } = withLayer(disk)
    const ended = await call('store', 'verify', '--pipeline', tiny)
    expect(ended.exitCode).toBe(exitCode)
    expect(ended.stdout).toBe(fault === '' ? '' : `base ${key}: ${fault}\n`)
  })

  it('prune removes what no variant uses, and says what', async () => {
    const { path, call } = withLayer('disk')
    const dry = await call('store', 'prune', '--pipeline', tiny, '--dry-run')
    expect(dry.stdout).toContain(`base ${key}`)
    expect(existsSync(path('out', 'store', `${key}.qcow2`))).toBe(true)
    expect((await call('store', 'prune', '--pipeline', tiny)).exitCode).toBe(0)
    expect(readdirSync(path('out', 'store'))).toEqual([])
  })

  it.each([
    ['--unused-for', '7 days', '90m, 12h or 7d'],
    ['--max-size', '20GB', '500MiB or 20GiB'],
  ])('prune says what %s looks like', async (option, value, rule) => {
    const { call } = place()
    const { exitCode, stderr } = await call('store', 'prune', option, value)
    expect(exitCode).toBe(2)
    expect(stderr).toContain(rule)
  })

  it('a shell of a stage that has no layer says which have', async () => {
    const { call } = place()
    const { exitCode, stderr } = await call('shell', 'greet', '--pipeline', tiny)
    expect(exitCode).toBe(2)
    expect(stderr).toContain('stage greet has no layer yet')
    expect(stderr).toContain('build the image first')
  })
})

describe.concurrent('a build on a host without Packer', () => {
  it('names the tool and its package, and writes nothing', async () => {
    const { path, begin, snapshot } = place()
    mkdirSync(path('bin'))
    for (const { name } of hostTools()) {
      const found = await findProgram(name)
      if (name !== 'packer' && found !== undefined) symlinkSync(found, path('bin', name))
    }
    symlinkSync('/bin/sh', path('bin', 'sh'))
    const before = snapshot()
    const env = { PATH: path('bin') }
    const { exitCode, stdout, stderr } = await begin(['build', '--pipeline', tiny], { env }).ended
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' })
    expect(stderr).toMatch(/packer: nothing, needed packer \S+ or newer \(package packer\)/)
    expect(stderr).toContain('npm run setup -- --yes')
    expect(snapshot()).toEqual(before)
  })
})

const { faults } = await findTools()
const lacking = faults.map(({ tool }) => tool.name)
const isFit = lacking.length === 0
const reason = isFit ? '' : ` (this host lacks ${lacking.join(', ')})`
const { bavail, bsize } = statfsSync('/tmp')
const hasSpace = bavail * bsize >= neededBytes

/** Words before a command that give it a mount namespace of its own; none where that is not allowed. */
const ownMounts = [
  ['unshare', '--mount'],
  ['unshare', '--user', '--map-root-user', '--mount'],
].find(
  ([command = '', ...words]) =>
    spawnSync(command, [...words, 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0,
)

// Skipped where the host has no tools to build with: that is then what is refused.
describe.skipIf(!isFit)(`a build that cannot begin is exit status 3${reason}`, { concurrent: true }, () => {
  it('in a folder that cannot be', async () => {
    const { path, build, snapshot } = place()
    writeFileSync(path('file'), '')
    const before = snapshot()
    const { exitCode, stdout, stderr } = await build('--out', 'file/out')
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' })
    expect(stderr).toContain(
      `cannot write in the output folder ${path('file/out')}: a part of its path is not a folder (ENOTDIR)`,
    )
    expect(stderr).toContain('--out')
    expect(snapshot()).toEqual(before)
  })

  /** Builds where a tmpfs is mounted on a folder for this process alone. */
  const buildBesideTmpfs = (folder: string, options: string, words: readonly string[]) => {
    const script = `mount -t tmpfs -o ${options},mode=755 none "$0" && exec "$@"`
    const [command = '', ...prefix] = ownMounts ?? []
    const build = ['sh', '-c', script, folder, process.execPath, program, 'build', ...words]
    return start(command, [...prefix, ...build], {}).ended
  }
  const buildOnTmpfs = (out: string, options: string) => {
    mkdirSync(out)
    return buildBesideTmpfs(out, options, ['--pipeline', tiny, '--out', out])
  }
  const mounts = ownMounts === undefined ? ' (nothing may be mounted here)' : ''

  // Skipped where no process may mount a disk of its own.
  it.skipIf(ownMounts === undefined)(`on a disk that is read-only${mounts}`, async () => {
    const { path } = place()
    const { exitCode, stderr } = await buildOnTmpfs(path('out'), 'ro')
    expect(exitCode).toBe(3)
    expect(stderr).toContain(`cannot write in the output folder ${path('out')}: it is read-only (EROFS)`)
  })

  // Skipped where no process may mount a disk of its own, as above.
  it.skipIf(ownMounts === undefined)(`on a disk that is too small${mounts}`, async () => {
    const { path } = place()
    const { exitCode, stdout, stderr } = await buildOnTmpfs(path('out'), 'size=512m')
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' })
    expect(stderr).toContain(
      `not enough disk space for ${path('out')}: 512.0 MiB are free, a build needs 8.0 GiB`,
    )
    expect(stderr).toContain('--out')
  })

  // Skipped where no process may mount a disk of its own, as above, or the host has no such firmware to hide.
  it.skipIf(ownMounts === undefined || !existsSync(firmware))(
    `without the firmware that starts its disk, unless nothing will${mounts}`,
    async () => {
      const { path } = place()
      const closed = ['--set', 'mirror.debian=http://127.0.0.1:9/debian']
      const hidden = (...words: string[]) => {
        const settings = ['--variant', 'bookworm-x86_64-uefi', ...closed, '--out', path('out')]
        return buildBesideTmpfs(firmware, 'ro', [...settings, ...words])
      }
      const { exitCode, stdout, stderr } = await hidden()
      expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' })
      expect(stderr).toContain('this host lacks UEFI firmware (package ovmf)')
      expect(stderr).toContain('npm run setup -- --yes')
      expect((await hidden('--no-verify')).stderr).not.toContain('firmware')
    },
  )
})

const space = hasSpace ? '' : ' (/tmp is too small)'

// Skipped where the host has no tools to build with, or /tmp no room for a disk of its own.
describe.skipIf(!isFit || !hasSpace)(
  `a build that may not begin${reason}${space}`,
  { concurrent: true },
  () => {
    const mirrorAt = (port: number) => [
      ...['--set', `mirror.debian=http://127.0.0.1:${port}/debian`],
      ...['--set', `mirror.security=http://127.0.0.1:${port}/security`],
    ]
    /** What a build has left; one that was refused has made a store at the most, and nothing in it. */
    const leftIn = (out: string) => (existsSync(out) ? readdirSync(out, { recursive: true }) : [])

    it('beside another is refused with its process, and leaves its lock', async () => {
      const { path, build } = place()
      const lock = await takeLock(path('out'), 'the-first')
      const before = readFileSync(path('out', 'lock'), 'utf8')
      const { exitCode, stdout, stderr } = await build()
      expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' })
      expect(stderr).toContain(`another build is using ${path('out')}: process ${process.pid}, run the-first`)
      expect(readFileSync(path('out', 'lock'), 'utf8')).toBe(before)
      await lock.release()
    })

    /** Waits until a program has said a text. */
    const said = (stream: NodeJS.ReadableStream | null | undefined, text: string) =>
      new Promise<void>((resolve, reject) => {
        let all = ''
        stream?.on('data', (chunk: Buffer) => {
          all += String(chunk)
          if (all.includes(text)) resolve()
        })
        stream?.on('close', () => reject(new Error(`it never said ${text}, but ${all}`)))
      })

    it('beside another waits for it with --wait, says for whom, and goes on when it is free', async () => {
      const { path, begin } = place()
      const lock = await takeLock(path('out'), 'the-first')
      const { child, ended } = begin([
        ...['build', '--pipeline', tiny, '--wait'],
        ...mirrorAt(await findPort()),
      ])
      await said(child.stderr, `waiting for process ${process.pid}, run the-first, since 2`)
      await lock.release()
      const { exitCode, stderr } = await ended
      expect(exitCode).toBe(3)
      expect(stderr).toContain('cannot reach 127.0.0.1')
      expect(existsSync(path('out', 'lock'))).toBe(false)
    })

    it.each([
      ['build', '--pipeline', tiny, '--wait'],
      ['clean', '--wait'],
    ])('%s that waits ends by Ctrl-C, and leaves the lock to its holder', async (...words) => {
      const { path, begin } = place()
      mkdirSync(path('out', 'store'), { recursive: true })
      await markOutput(path('out'))
      const lock = await takeLock(path('out'), 'the-first')
      const before = readFileSync(path('out', 'lock'), 'utf8')
      const { child, ended } = begin(words)
      await said(child.stderr, 'waiting for process')
      child.kill('SIGINT')
      const { exitCode, stderr } = await ended
      expect(exitCode).toBe(130)
      expect(stderr).not.toContain('bug')
      expect(readFileSync(path('out', 'lock'), 'utf8')).toBe(before)
      expect(readdirSync(path('out')).filter((name) => name.startsWith('lock'))).toEqual(['lock'])
      await lock.release()
    })

    it('without its mirror is refused with its address, before anything is made', async () => {
      const { path, build } = place()
      const port = await findPort()
      const { exitCode, stdout, stderr } = await build(...mirrorAt(port))
      expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' })
      expect(stderr).toContain(`cannot reach 127.0.0.1:${port}`)
      expect(leftIn(path('out')).filter((name) => name !== 'store')).toEqual([])
    })

    it('with --json says why on stdout as well, as JSON', async () => {
      const { build } = place()
      const { exitCode, stdout } = await build('--json', ...mirrorAt(await findPort()))
      expect(exitCode).toBe(3)
      const lines = stdout.trimEnd().split('\n')
      expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
        { kind: 'error', code: 'mirror-unreachable' },
      ])
    })

    it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
      'is ended by %s as interrupted, not as a bug',
      async (signal) => {
        // A mirror that takes connections and never answers.
        const server = createServer(() => undefined).listen(0, '127.0.0.1')
        await once(server, 'listening')
        const { port } = server.address() as AddressInfo
        const asked = once(server, 'connection')
        const { path, begin } = place()
        const { child, ended } = begin(['build', '--pipeline', tiny, ...mirrorAt(port)])
        const [socket] = await asked
        child.kill(signal)
        const { exitCode, stderr } = await ended
        socket.destroy()
        server.close()
        expect(stderr).not.toContain('bug')
        expect(stderr).toContain('interrupted')
        expect(exitCode).toBe(130)
        expect(leftIn(path('out')).filter((name) => name !== 'store')).toEqual([])
      },
    )
  },
)
