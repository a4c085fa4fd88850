import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Fault, formatFound } from '../../../src/config/faults.ts'
import { kernelModules } from '../../../src/config/left-out.ts'
import { chooseImages, loadPipeline } from '../../../src/config/load.ts'
import { mergeOver, type Overrides, parseAssignment, readOverrides } from '../../../src/config/overrides.ts'
import { definePipeline, type Pipeline } from '../../../src/config/pipeline.ts'
import { resolvePipeline } from '../../../src/config/resolve.ts'
import { defineStage } from '../../../src/config/stage.ts'
import { exitCodes, PipelineError } from '../../../src/errors.ts'
import { useFolder } from '../../support/folder.ts'
import { sound, threeStages } from '../../support/pipelines.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'

const path = useFolder()

/** The sample pipeline, with fields that no compiler has looked at. */
function sample(over: Record<string, unknown> = {}): Pipeline {
  const { first, second, third } = threeStages(path())
  return { ...sound, stages: [first(), second(), third()], ...over } as unknown as Pipeline
}

async function failure(promise: Promise<unknown>): Promise<PipelineError> {
  const error = await promise.catch((caught: unknown) => caught)
  if (!(error instanceof PipelineError)) throw new Error(`expected a PipelineError, found ${String(error)}`)
  expect(error.exitCode).toBe(exitCodes.badInput)
  return error
}

async function faultsOf(promise: Promise<unknown>): Promise<readonly Fault[]> {
  const error = await failure(promise)
  expect(error.code).toBe('configuration')
  return error.details.faults as readonly Fault[]
}

const resolved = async (over: Record<string, unknown> = {}, overrides: readonly Overrides[] = []) => {
  const { images } = await resolvePipeline(sample(over), overrides)
  return images
}

async function yaml(text: string): Promise<Overrides> {
  writeFileSync(path('values.yaml'), text)
  return readOverrides(path('values.yaml'))
}

describe('a pipeline that is decided', () => {
  it('has a value for everything that was left out', async () => {
    const [image] = await resolved()
    expect(image).toMatchObject({
      locale: 'en_US.UTF-8',
      timezone: 'Etc/UTC',
      keyboard: 'us',
      installer: 'bootstrap',
      kernelPackage: 'linux-image-amd64',
      mirror: {
        debian: 'http://deb.debian.org/debian',
        security: 'http://deb.debian.org/debian-security',
        components: ['main'],
        keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
      },
      machine: { memoryMiB: 2048, cpus: 2, bootTimeoutSeconds: 600 },
      verification: { memoryMiB: 512, cpus: 2, routers: { cpus: 1 } },
      formats: { kvm: { compat: '1.1', compression: 'zlib' } },
      account: { name: 'tester', fullName: '', groups: [] },
      variant: 'trixie-x86_64',
      debianVersion: 13,
      debianArch: 'amd64',
      sourceDateEpoch: Date.parse('2026-01-02T00:00:00Z') / 1000,
      fileName: 'sample-1.0-x86_64',
    })
    expect(
      image?.disk.partitions.map(({ grow, primary, reservedPercent }) => [grow, primary, reservedPercent]),
    ).toEqual([
      [false, true, 0],
      [false, false, 0],
      [true, false, 0],
    ])
  })

  it('has stages with absolute paths, their settings, and nothing left to ask', async () => {
    const [image] = await resolved()
    expect(image?.stages[1]).toEqual({
      name: 'second',
      summary: 'second',
      script: path('second.sh'),
      settings: { word: 'word', count: 1 },
      environment: { WORD: 'word', COUNT: '1' },
      packages: ['nano'],
      leaves: ['/etc/word'],
      files: { payload: path('payload') },
      sources: { payload: path('payload') },
      fileKinds: {},
      filesTop: {},
      network: false,
      timeoutSeconds: 900,
    })
  })

  it('writes a mirror without slashes at its end', async () => {
    const [image] = await resolved({ mirror: { debian: 'http://deb.example.org/debian//' } })
    expect(image?.mirror.debian).toBe('http://deb.example.org/debian')
  })

  it('has one image for each variant, told apart by label, the default first', async () => {
    const images = await resolved({
      variants: [
        { suite: 'trixie', arch: 'x86_64' },
        { suite: 'bookworm', arch: 'x86_64', label: 'old' },
      ],
    })
    expect(images.map(({ variant, fileName, debianVersion }) => [variant, fileName, debianVersion])).toEqual([
      ['trixie-x86_64', 'sample-1.0-x86_64', 13],
      ['bookworm-x86_64', 'sample-1.0-old-x86_64', 12],
    ])
  })

  it('leaves out a stage that is not for this image', async () => {
    const { first } = threeStages(path())
    const only = defineStage({
      name: 'second',
      summary: 'for bookworm',
      from: pathToFileURL(path('stages.ts')).href,
      when: (_settings, { suite }) => suite === 'bookworm',
    })
    const images = await resolved({
      variants: [
        { suite: 'trixie', arch: 'x86_64' },
        { suite: 'bookworm', arch: 'x86_64', label: 'old' },
      ],
      stages: [first(), only()],
    })
    expect(images.map(({ stages }) => stages.map(({ name }) => name))).toEqual([
      ['first'],
      ['first', 'second'],
    ])
  })
})

describe('the installer', () => {
  it('of a variant wins over the pipeline, and is in its name', async () => {
    const variants = [
      { suite: 'trixie', arch: 'x86_64' },
      { suite: 'trixie', arch: 'x86_64', label: 'di', installer: 'debian-installer' },
    ]
    const images = await resolved({ variants })
    expect(images.map(({ variant, installer }) => [variant, installer])).toEqual([
      ['trixie-x86_64', 'bootstrap'],
      ['trixie-x86_64-debian-installer', 'debian-installer'],
    ])
    const all = await resolved({ installer: 'debian-installer' })
    expect(all[0]).toMatchObject({ variant: 'trixie-x86_64', installer: 'debian-installer' })
  })

  it('may be a disk image, by its path or by its URL with a checksum', async () => {
    writeFileSync(path('golden.qcow2'), '')
    const checksum = 'a'.repeat(64)
    const images = await resolved({
      installer: { image: `https://images.example.org/golden.qcow2#sha256=${checksum}` },
      variants: [
        { suite: 'trixie', arch: 'x86_64' },
        { suite: 'trixie', arch: 'x86_64', label: 'own', installer: { image: path('golden.qcow2') } },
      ],
    })
    expect(images.map(({ variant, installer, baseImage }) => [variant, installer, baseImage])).toEqual([
      [
        'trixie-x86_64',
        'disk-image',
        {
          location: 'https://images.example.org/golden.qcow2',
          isUrl: true,
          checksum: { algorithm: 'sha256', hex: checksum },
        },
      ],
      [
        'trixie-x86_64-disk-image',
        'disk-image',
        { location: path('golden.qcow2'), isUrl: false, checksum: undefined },
      ],
    ])
  })

  it.each([
    ['a relative path', { image: 'golden.qcow2' }, 'installer.image: must be an absolute path'],
    ['a file that is not there', { image: '/no/such' }, 'installer.image: must be a disk image that exists'],
    [
      'a URL without a checksum',
      { image: 'https://a.example.org/b' },
      'installer.image: must end in #sha256=',
    ],
    [
      'a checksum that is cut',
      { image: '/a#sha256=abc' },
      'installer.image: must have 64 hexadecimal digits',
    ],
    ['another name', 'anaconda', 'installer: must be bootstrap, debian-installer, or { image: … }'],
  ])('is refused as %s', async (_case, installer, rule) => {
    const faults = await faultsOf(resolvePipeline(sample({ installer })))
    expect(faults.map((fault) => `${fault.path}: ${fault.rule}`).join()).toContain(rule)
  })

  it('is told where else udebs are, and nothing that would end its kernel line', async () => {
    const [image] = await resolved({ mirror: { udebs: { suite: 'my-udebs', keyring: '/k.gpg' } } })
    expect(image?.mirror.udebs).toEqual({ suite: 'my-udebs', keyring: '/k.gpg' })
    const unfit = resolvePipeline(sample({ mirror: { udebs: { suite: 'a b', keyring: 'k' } } }))
    expect((await faultsOf(unfit)).map((fault) => fault.path)).toEqual([
      'mirror.udebs.suite',
      'mirror.udebs.keyring',
    ])
  })

  it('may be a disc, named with its checksum', async () => {
    const iso = {
      url: 'https://cdimage.debian.org/debian-cd/13.1.0/amd64/iso-cd/a.iso',
      sha256: 'a'.repeat(64),
    }
    expect((await resolved({ debianInstaller: { iso } }))[0]?.debianInstaller.iso).toEqual(iso)
    const unfit = resolvePipeline(
      sample({ debianInstaller: { iso: { url: 'http://host/a.img', sha256: 'x' } } }),
    )
    expect(await faultsOf(unfit)).toHaveLength(2)
  })
})

describe('the date', () => {
  it('is that of SOURCE_DATE_EPOCH where it is set', async () => {
    const { images } = await resolvePipeline(sample(), [], { SOURCE_DATE_EPOCH: '1700000000' })
    expect(images[0]?.sourceDateEpoch).toBe(1700000000)
  })

  it('is that of the pipeline where it is empty', async () => {
    const { images } = await resolvePipeline(sample(), [], { SOURCE_DATE_EPOCH: '' })
    expect(images[0]?.sourceDateEpoch).toBe(1767312000)
  })

  it('may be as late as a tar can say, and no later', async () => {
    const { images } = await resolvePipeline(sample(), [], { SOURCE_DATE_EPOCH: '8589934591' })
    expect(images[0]?.sourceDateEpoch).toBe(8_589_934_591)
    for (const late of ['8589934592', '99999999999', '9'.repeat(30)]) {
      const [fault] = await faultsOf(resolvePipeline(sample(), [], { SOURCE_DATE_EPOCH: late }))
      expect(fault).toMatchObject({ path: 'SOURCE_DATE_EPOCH', source: 'environment' })
      expect(fault?.rule).toContain('at most 8589934591')
    }
  })

  it.each(['tomorrow', '-1', '1.5', '1e9', ' 1'])('is a fault for SOURCE_DATE_EPOCH=%j', async (value) => {
    expect(await faultsOf(resolvePipeline(sample(), [], { SOURCE_DATE_EPOCH: value }))).toEqual([
      {
        path: 'SOURCE_DATE_EPOCH',
        rule: 'must be whole seconds since 1970',
        found: JSON.stringify(value),
        source: 'environment',
      },
    ])
  })
})

describe('faults', () => {
  it('are all reported at once, each with its path, rule, value and source', async () => {
    const file = await yaml(
      'hostname: Not A Host\nmachine:\n  memoryMiB: 12\nstages:\n  second: {count: -1}\n',
    )
    const error = await failure(
      resolvePipeline(
        sample({ date: 'today', color: 'blue' }),
        [file, parseAssignment('stages.third.wrod=x')],
        {
          SOURCE_DATE_EPOCH: 'never',
        },
      ),
    )
    const from = path('values.yaml')
    const lines = error.message.split('\n')
    expect(lines[0]).toBe('the configuration has 7 faults:')
    const second = lines.findIndex((line) => line.includes('second.count'))
    expect([...lines.slice(1, second), ...lines.slice(second + 4)]).toEqual([
      '  date: must be a date like 2026-11-01, found "today"',
      '  hostname: must be one DNS label in lower case, found "Not A Host"',
      `    ${from}:1:11`,
      '      hostname: Not A Host',
      '                ^^^^^^^^^^',
      '  machine.memoryMiB: must be at least 256 MiB, found 12',
      `    ${from}:3:14`,
      '        memoryMiB: 12',
      '                   ^^',
      '  color: is not known here, found "blue"',
      '  SOURCE_DATE_EPOCH: must be whole seconds since 1970, found "never" (environment)',
      '  stages.third.wrod: is not known here, found "x" (--set stages.third.wrod)',
    ])
    expect(lines.slice(second, second + 4).join('\n')).toMatch(
      /stages\.second\.count: .*0.*, found -1\n.*values\.yaml:5:19\n.*\{count: -1\}\n *\^\^$/,
    )
    expect(error.hint).toContain('nothing was touched')
  })

  it('of the same thing in two variants are one', async () => {
    const { first } = threeStages(path())
    const variants = [
      { suite: 'trixie', arch: 'x86_64' },
      { suite: 'bookworm', arch: 'x86_64', label: 'old' },
    ]
    const stages = [first({ count: -1 })]
    expect(await faultsOf(resolvePipeline(sample({ variants, stages })))).toHaveLength(1)
  })

  it.each([
    ['suite', { variants: [{ suite: 'buster', arch: 'x86_64' }] }, 'variants[0].suite'],
    ['no variant', { variants: [] }, 'variants'],
    ['no target', { targets: [] }, 'targets'],
    ['unknown target', { targets: ['kvn'] }, 'targets[0]'],
    ['name with a slash', { name: '../x' }, 'name'],
    ['release', { release: 'latest' }, 'release'],
    ['day that is none', { date: '2026-02-30' }, 'date'],
    ['time zone', { timezone: 'Mars/Olympus' }, 'timezone'],
    ['time zone in letters that no file has', { timezone: 'etc/utc' }, 'timezone'],
    ['offset for a time zone', { timezone: '+01' }, 'timezone'],
    ['locale', { locale: 'C' }, 'locale'],
    ['mirror', { mirror: { debian: 'ftp://deb.example.org' } }, 'mirror.debian'],
    ['mirror with a space', { mirror: { debian: 'http://deb.example.org/a b' } }, 'mirror.debian'],
    ['account', { account: { name: 'Root' } }, 'account.name'],
    ['colon in a full name', { account: { name: 'x', fullName: 'a:b' } }, 'account.fullName'],
    ['a NUL in a full name', { account: { name: 'x', fullName: 'a\0b' } }, 'account.fullName'],
    ['an escape in a full name', { account: { name: 'x', fullName: 'a\u001b[31mb' } }, 'account.fullName'],
    ['root as the account', { account: { name: 'root' } }, 'account.name'],
    ['a daemon as the account', { account: { name: 'www-data' } }, 'account.name'],
    ['a group of Debian as the account', { account: { name: 'audio' } }, 'account.name'],
    ["the account's own group", { account: { name: 'x', groups: ['audio', 'x'] } }, 'account.groups'],
    ['a group named twice', { account: { name: 'x', groups: ['audio', 'audio'] } }, 'account.groups'],
    ['a relative keyring', { mirror: { keyring: 'keys.gpg' } }, 'mirror.keyring'],
    ['a keyring with a space', { mirror: { keyring: '/a b.gpg' } }, 'mirror.keyring'],
    ['a keyring with a NUL', { mirror: { keyring: '/a\0b.gpg' } }, 'mirror.keyring'],
    [
      'a mirror with a password',
      { mirror: { debian: 'http://me:secret@deb.example.org/' } },
      'mirror.debian',
    ],
    ['a mirror with a user', { mirror: { security: 'https://me@deb.example.org' } }, 'mirror.security'],
    ['a mirror with a quote', { mirror: { debian: 'http://deb.example.org/"x' } }, 'mirror.debian'],
    [
      'a mirror with a control character',
      { mirror: { debian: 'http://deb.example.org/\u0001' } },
      'mirror.debian',
    ],
    ['a target named twice', { targets: ['kvm', 'raw', 'kvm'] }, 'targets'],
    [
      'a disk that no partition table holds',
      { disk: { ...sound.disk, sizeMiB: 126 * 16645 } },
      'disk.sizeMiB',
    ],
    ['more memory than there is', { machine: { memoryMiB: 2 ** 20 + 1 } }, 'machine.memoryMiB'],
    ['a store that holds nothing', { store: { maximumGiB: 0 } }, 'store.maximumGiB'],
    ['a name too long for a tar', { name: 'n'.repeat(41) }, 'name'],
    ['a release too long for one', { release: `1.0-${'r'.repeat(27)}` }, 'release'],
    [
      'a label too long for one',
      { variants: [{ suite: 'trixie', arch: 'x86_64', label: 'l'.repeat(10) }] },
      'variants[0].label',
    ],
    ['a day before any zip file', { date: '1979-12-31' }, 'date'],
    ['a day after any tar', { date: '2242-03-17' }, 'date'],
    ['a pattern of no path', { leaveOut: { sound: ['sound/*'] } }, 'leaveOut.sound[0]'],
    ['a pattern of every path', { leaveOut: { all: ['/*'] } }, 'leaveOut.all[0]'],
    ['a second line for dpkg', { leaveOut: { all: ['/a\npath-exclude=/*'] } }, 'leaveOut.all[0]'],
    ['kernel', { kernelPackage: 'vmlinuz; rm -rf /' }, 'kernelPackage'],
    [
      'zstd for old QEMU',
      { formats: { kvm: { compat: '0.10', compression: 'zstd' } } },
      'formats.kvm.compression',
    ],
  ])('%s', async (_case, over, where) => {
    expect((await faultsOf(resolvePipeline(sample(over)))).map((fault) => fault.path)).toEqual([where])
  })

  it('are none for files to leave out, of which each pattern counts once', async () => {
    const leaveOut = {
      sound: kernelModules('', 'sound'),
      media: kernelModules('drivers', 'media usb/serial'),
      both: kernelModules('', 'sound'),
      none: [],
    }
    const [image] = (await resolvePipeline(sample({ leaveOut }))).images
    expect(image?.leaveOut).toEqual([
      '*/lib/modules/*/kernel/drivers/media/*',
      '*/lib/modules/*/kernel/drivers/usb/serial/*',
      '*/lib/modules/*/kernel/sound/*',
    ])
  })

  it('are none for a store that may take as much as it wants, or half a GiB', async () => {
    expect((await resolvePipeline(sample())).maximumStoreBytes).toBeUndefined()
    const bounded = await resolvePipeline(sample({ store: { maximumGiB: 0.5 } }))
    expect(bounded.maximumStoreBytes).toBe(512 * 1024 ** 2)
  })

  it('are none for what is just within the limits', async () => {
    const [image] = await resolved({
      name: 'n'.repeat(40),
      release: `1.0-${'r'.repeat(26)}`,
      date: '2242-03-16',
      variants: [{ suite: 'trixie', arch: 'x86_64', label: 'l'.repeat(9) }],
      disk: { ...sound.disk, sizeMiB: 126 * 16644 },
      machine: { memoryMiB: 2 ** 20 },
      mirror: { debian: 'http://deb.example.org/a@b' },
      account: { name: 'x', fullName: 'Ünï Cödé', groups: ['audio', 'admin'] },
    })
    // What an OVA holds beside it is the longest name of all.
    expect(Buffer.byteLength(`${image?.fileName}-disk1.vmdk`)).toBeLessThanOrEqual(100)
    expect(image?.sourceDateEpoch).toBeLessThan(8 ** 11)
    expect((await resolved({ date: '1980-01-01' }))[0]?.sourceDateEpoch).toBe(315_532_800)
  })

  it.each([
    ['http://example.org:70000', /valid host and port/],
    ['http://[fe80::1%25eth0]/', /valid host and port/],
    ['http://1.2.3.4.5/', /valid host and port/],
    ['http://?x', /valid host and port/],
    ['http://example.org/debian?x=1', /no query and no fragment/],
    ['http://example.org/debian#x', /no query and no fragment/],
    ['http:///debian', /http or https/],
    ['http://example.org\\debian', /backslashes/],
    ['file:///debian', /http\(s\) URL/],
  ])('refuse what the platform takes for no address of a mirror: %s', async (debian, rule) => {
    const [fault, ...others] = await faultsOf(resolvePipeline(sample({ mirror: { debian } })))
    expect(fault?.rule).toMatch(rule)
    expect(others).toEqual([])
    const checksum = `#sha256=${'0'.repeat(64)}`
    const image = `${debian}${checksum}`
    if (!/[?#]|\\/.test(debian.slice(8)))
      expect((await faultsOf(resolvePipeline(sample({ installer: { image } })))).length).toBe(1)
    const iso = { url: `${debian}/x.iso`, sha256: '0'.repeat(64) }
    expect((await faultsOf(resolvePipeline(sample({ debianInstaller: { iso } })))).length).toBe(1)
  })

  it.each([
    [
      'timezone',
      'US/Eastern',
      /^must be a time zone in trixie's tzdata \(20.*\); there it is named America\/New_York$/,
    ],
    ['timezone', 'Mars/Olympus', /^must be a time zone in trixie's tzdata \(20.*\)$/],
    ['locale', 'xx_YY.UTF-8', /^must be a locale in trixie's locales \(2\..*\)$/],
    ['keyboard', 'zz', /^must be a keyboard layout in trixie's xkb-data \(2\..*\)$/],
  ])("refuse what the suite's own packages lack: %s %s", async (setting, value, rule) => {
    const faults = await faultsOf(resolvePipeline(sample(), [parseAssignment(`${setting}=${value}`)]))
    expect(faults).toMatchObject([
      { path: setting, rule: expect.stringMatching(rule), source: `--set ${setting}` },
    ])
  })

  it('take an old name of a time zone for the suite that still has it', async () => {
    const variants = [{ suite: 'bookworm', arch: 'x86_64' }]
    const [image] = await resolved({
      timezone: 'US/Eastern',
      locale: 'bn_BD.UTF-8',
      keyboard: 'de',
      variants,
    })
    expect(image).toMatchObject({ timezone: 'US/Eastern', locale: 'bn_BD.UTF-8', keyboard: 'de' })
  })

  it('between fields are said along with those of single ones', async () => {
    const over = {
      hostname: 'No Host',
      targets: ['xenserver'],
      timezone: 'US/Eastern',
      date: '2100-01-01',
      repository: true,
      downloadUrl: 'http://example.org/elsewhere',
    }
    const faults = await faultsOf(resolvePipeline(sample(over)))
    expect(faults.map(({ path }) => path).sort()).toEqual(['date', 'downloadUrl', 'hostname', 'timezone'])
  })

  it('blame SOURCE_DATE_EPOCH for a future that it has set', async () => {
    const environment = { SOURCE_DATE_EPOCH: '4102444800' }
    const faults = await faultsOf(resolvePipeline(sample({ targets: ['xenserver'] }), [], environment))
    expect(faults).toMatchObject([{ path: 'SOURCE_DATE_EPOCH', found: '4102444800' }])
  })

  it('refuse a date that the final disk cannot have, but not without one that is made anew', async () => {
    const late = { reproducible: true, date: '2038-01-20' }
    expect(await faultsOf(resolvePipeline(sample(late)))).toMatchObject([
      { path: 'date', found: '"2038-01-20"', rule: expect.stringContaining('at most 2038-01-19') },
    ])
    const environment = { SOURCE_DATE_EPOCH: '2147483648' }
    const faults = await faultsOf(resolvePipeline(sample({ reproducible: true }), [], environment))
    expect(faults).toMatchObject([{ path: 'SOURCE_DATE_EPOCH', found: '2147483648' }])
    await resolvePipeline(sample({ reproducible: true, date: '2038-01-19' }))
    await resolvePipeline(sample(late), [{ source: 'a test', values: { reproducible: false } }])
  })

  it.each([
    [{ snapshot: 'latest' }, ['mirror.debian', 'mirror.security']],
    [{ snapshot: 'latest', debian: 'http://x/debian/{snapshot}' }, ['mirror.security']],
    [{ security: 'http://x/debian/{snapshot}' }, ['mirror.security']],
    [{ snapshot: 'newest' }, ['mirror.snapshot']],
  ])('say where the instant of a snapshot belongs: %j', async (mirror, paths) => {
    const faults = await faultsOf(resolvePipeline(sample({ mirror })))
    expect(faults.map(({ path }) => path)).toEqual(paths)
  })

  it('are none for a snapshot, whose instant is the one of the pipeline or else the given one', async () => {
    const urls = { debian: 'http://x/{snapshot}', security: 'http://x/s/{snapshot}/' }
    const given = new Map([['trixie-x86_64', '20260101T000000Z']])
    const at = async (snapshot: string, chosen?: ReadonlyMap<string, string>) =>
      (await resolvePipeline(sample({ mirror: { ...urls, snapshot } }), [], {}, chosen)).images[0]?.mirror
    const instant = '20260101T000000Z'
    const mirror = { debian: `http://x/${instant}`, security: `http://x/s/${instant}`, snapshot: instant }
    expect(await at('latest', given)).toMatchObject(mirror)
    expect(await at(instant)).toMatchObject(mirror)
    expect(await at('latest')).toMatchObject({ snapshot: 'latest', debian: 'http://x/{snapshot}' })
  })

  it('say what to do with the password of a mirror', async () => {
    const [fault] = await faultsOf(
      resolvePipeline(sample({ mirror: { debian: 'http://a:b@c.example.org' } })),
    )
    expect(fault?.rule).toContain("put credentials in apt's auth.conf")
    expect(fault?.found).toBe('"http://…@c.example.org"')
  })

  it.each([
    ['http://name:se@cret@host/x', '"http://…@host/x"'],
    ['http://name:se"cr et@host', '"http://…@host"'],
    [{ debian: 'https://token@host', security: 'http://host/a@b' }, /^\{"debian":"https:\/\/…@host"/],
    ['http://host/a@b', '"http://host/a@b"'],
  ])('never show a password that is found: %j', (value, shown) => {
    if (typeof shown === 'string') expect(formatFound(value)).toBe(shown)
    else expect(formatFound(value)).toMatch(shown)
    expect(formatFound(value)).not.toMatch(/cret|token/)
  })

  it.each([
    'stages.third.password=[a, secret]',
    'stages.third.apiToken=secret',
    'stages.third={password: secret}',
  ])('never show the value of a setting with such a name: %s', async (assignment) => {
    const faults = await faultsOf(resolvePipeline(sample(), [parseAssignment(assignment)]))
    expect(JSON.stringify(faults)).not.toMatch(/secret"|secret\\"/)
    expect(() => parseAssignment(`${assignment.split('=')[0]}=*secret`)).toThrow(/--set/)
  })

  it.each(['http://name:secret@host', 'mirror.debian=[http://name:secret@host'])(
    'never show it where --set %s is refused',
    (assignment) => {
      expect(() => parseAssignment(assignment)).toThrow(/--set/)
      expect(() => parseAssignment(assignment)).not.toThrow(/secret/)
    },
  )

  it.each([
    ['machine', { machine: { cpus: 0 } }, 'must be at least 1'],
    ['machine', { machine: { cpus: 65 } }, 'must be at most 64'],
    ['disk', { disk: { sizeMiB: 5040, partitions: [] } }, 'must have at least 1 entry'],
    ['mirror', { mirror: { components: [] } }, 'must name at least one component'],
    ['mirror', { mirror: { components: ['Main!'] } }, 'must be the name of a component, like main'],
  ])('of sizes are told in words: %s %j', async (field, fields, rule) => {
    const faults = await faultsOf(resolvePipeline(sample(fields)))
    expect(faults.filter(({ path: at }) => at.startsWith(field)).map((fault) => fault.rule)).toContain(rule)
  })

  it.each([
    [null, 'null'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    ['2', '"2"'],
    [[1, Number.NaN], '[1,"NaN"]'],
  ])('show %j once, as it is', async (cpus, found) => {
    const error = await failure(resolvePipeline(sample({ machine: { cpus } })))
    expect(error.message).toMatch(/: must be a (whole )?number, found/)
    expect(error.message).toContain(`, found ${found}`)
  })

  it.each([
    ['targets=kvm', 'targets: must be a list, as in [a, b], found "kvm"'],
    ['machine=4', 'machine: must be a group of keys and values, found 4'],
    ['hostname=[x]', 'hostname: must be a string, found ["x"]'],
    ['repository=often', 'repository: must be true or false, found "often"'],
    ['formats.kvm.compat=9', 'formats.kvm.compat: must be 0.10 or 1.1, found "9"'],
  ])('say what there must be, in plain words: %s', async (assignment, line) => {
    const error = await failure(resolvePipeline(sample(), [parseAssignment(assignment)]))
    expect(error.message).toContain(`  ${line} (--set `)
  })

  it('of one target hide none of another', async () => {
    const assignments = ['targets=[kvm, xenserver]', 'formats.kvm.compat=9', 'date=2030-01-01']
    const faults = await faultsOf(resolvePipeline(sample(), assignments.map(parseAssignment)))
    expect(faults.map(({ path }) => path)).toEqual(expect.arrayContaining(['formats.kvm.compat', 'date']))
  })

  it('of a value that is missing say so', async () => {
    const [fault] = await faultsOf(resolvePipeline(sample({ hostname: undefined })))
    expect(fault?.rule).toBe('is missing: it must be a string')
  })

  it('show values that JSON has no words for', async () => {
    const cyclic: Record<string, unknown> = {}
    cyclic.itself = cyclic
    const faults = await faultsOf(resolvePipeline(sample({ machine: { cpus: cyclic, memoryMiB: 1n } })))
    expect(faults.map(({ found }) => found).sort()).toEqual(['"1"', 'a value that holds itself'])
  })

  it('of a stage that stands there twice names it', async () => {
    const { first, second } = threeStages(path())
    const faults = await faultsOf(
      resolvePipeline(sample({ stages: [first(), second(), first({ count: 2 })] })),
    )
    expect(faults).toEqual([{ path: 'stages', rule: 'stage first is listed twice' }])
  })

  it('of two images with one file name says which variant wants a label', async () => {
    const variants = [
      { suite: 'trixie', arch: 'x86_64' },
      { suite: 'bookworm', arch: 'x86_64' },
    ]
    expect(await faultsOf(resolvePipeline(sample({ variants })))).toMatchObject([
      { path: 'variants[1].label', rule: expect.stringContaining('sample-1.0-x86_64') },
    ])
  })
})

describe('a disk', () => {
  const [boot, swap, root] = sound.disk.partitions as Record<string, unknown>[]
  const faults = (disk: unknown) => faultsOf(resolvePipeline(sample({ disk })))

  it('that is no multiple of 126 is told the sizes nearby, each of which would do', async () => {
    const [fault] = await faults({ sizeMiB: 5000, partitions: sound.disk.partitions })
    expect(fault).toMatchObject({ path: 'disk.sizeMiB', found: '5000' })
    const sizes =
      /try (\d+) or (\d+)$/
        .exec(fault?.rule ?? '')
        ?.slice(1)
        .map(Number) ?? []
    expect(sizes).toEqual([4914, 5040])
    for (const sizeMiB of sizes) {
      await expect(resolved({ disk: { sizeMiB, partitions: sound.disk.partitions } })).resolves.toBeDefined()
    }
  })

  it('that is too small for its partitions is told how much they need', async () => {
    expect(await faults({ sizeMiB: 378, partitions: sound.disk.partitions })).toEqual([
      {
        path: 'disk.sizeMiB',
        rule: 'too small for its partitions, which need 452 MiB with at least 256 for the last',
        found: '378',
        source: undefined,
      },
    ])
  })

  it.each([
    ['nothing at /', [boot, { ...root, mount: '/srv' }], 'disk.partitions', 'mounted at /'],
    [
      'one mount point twice',
      [boot, { ...boot, primary: false }, root],
      'disk.partitions',
      '/boot is mounted twice',
    ],
    [
      'a last partition that stays as it is',
      [boot, { ...root, grow: false, sizeMiB: 300 }],
      'disk.partitions[1].grow',
      'must grow',
    ],
    [
      'two that grow',
      [{ ...boot, grow: true, sizeMiB: undefined }, root],
      'disk.partitions[0].grow',
      'only the last',
    ],
    ['no size', [{ ...boot, sizeMiB: undefined }, root], 'disk.partitions[0].sizeMiB', 'must be given'],
    [
      'a size for what grows',
      [boot, { ...root, sizeMiB: 300 }],
      'disk.partitions[1].sizeMiB',
      'must be absent',
    ],
    [
      'swap that is mounted',
      [boot, { ...swap, mount: '/swap' }, root],
      'disk.partitions[1].mount',
      'must be given for a filesystem',
    ],
    [
      'a filesystem that is not',
      [boot, { filesystem: 'ext4', sizeMiB: 16 }, root],
      'disk.partitions[1].mount',
      'must be given for a filesystem',
    ],
    [
      'a primary partition after a logical one',
      [swap, boot, root],
      'disk.partitions[1].primary',
      'before logical ones',
    ],
    [
      'four primary partitions and a logical one',
      [boot, ...['/a', '/b', '/c'].map((mount) => ({ ...boot, mount })), root],
      'disk.partitions',
      'at most 4 primary',
    ],
  ])('with %s is a fault', async (_case, partitions, where, rule) => {
    const found = await faults({ sizeMiB: 1260, partitions })
    expect(found.map((fault) => fault.path)).toEqual([where])
    expect(found[0]?.rule).toContain(rule)
  })
})

describe('overrides', () => {
  it('win over the pipeline, and --set over a file, key by key', async () => {
    const file = await yaml(
      'hostname: file\nmachine: {cpus: 4, memoryMiB: 512}\nstages:\n  first: {word: file, count: 5}\n',
    )
    const [image] = await resolved({}, [
      file,
      parseAssignment('machine.cpus=8'),
      parseAssignment('stages.first.word=set'),
    ])
    expect(image?.hostname).toBe('file')
    expect(image?.machine).toMatchObject({ cpus: 8, memoryMiB: 512, bootTimeoutSeconds: 600 })
    expect(image?.stages[0]?.settings).toEqual({ word: 'set', count: 5 })
    expect(image?.stages[1]?.settings).toEqual({ word: 'word', count: 1 })
  })

  it('replace a list as a whole', async () => {
    const [image] = await resolved({}, [parseAssignment('account.groups=[audio, video]')])
    expect(image?.account).toEqual({ name: 'tester', fullName: '', groups: ['audio', 'video'] })
  })

  it('may give a date and a release in YAML', async () => {
    const [image] = await resolved({}, [await yaml('date: 2026-03-04\nrelease: 4.22.0\n')])
    expect(image?.sourceDateEpoch).toBe(Date.parse('2026-03-04T00:00:00Z') / 1000)
    expect(image?.fileName).toBe('sample-4.22.0-x86_64')
  })

  it('for a stage that is not there list the stages that are', async () => {
    const faults = await faultsOf(resolvePipeline(sample(), [await yaml('stages:\n  frist: {count: 2}\n')]))
    expect(faults).toEqual([
      {
        path: 'stages.frist',
        rule: 'is not a stage of this pipeline, which has first, second, third',
        source: path('values.yaml'),
        place: { line: 2, column: 3, text: '  frist: {count: 2}', length: 5 },
      },
    ])
  })

  it.each([
    ['stages: [first]\n', 'stages', 'must map stage names to settings'],
    ['stages:\n  first: 3\n', 'stages.first', 'must map names of settings to values'],
  ])('%j are a fault', async (text, where, rule) => {
    expect(await faultsOf(resolvePipeline(sample(), [await yaml(text)]))).toMatchObject([
      { path: where, rule },
    ])
  })

  it.each([
    ['__proto__: {polluted: 1}\n', '__proto__'],
    ['machine:\n  __proto__: {cpus: 4}\n', 'machine.__proto__'],
    ['account:\n  __proto__: x\n', 'account.__proto__'],
    ['stages:\n  first: {__proto__: {count: 2}}\n', 'stages.first.__proto__'],
    ['stages: {__proto__: {count: 2}}\n', 'stages.__proto__'],
    ['constructor: 1\n', 'constructor'],
    ['machine: {toString: {x: 1}}\n', 'machine.toString'],
  ])('of a key that every object has, %j, are unknown like any other', async (text, where) => {
    const faults = await faultsOf(
      resolvePipeline(sample(), [await yaml(text), parseAssignment('keyboard=de')]),
    )
    expect(faults.map((fault) => [fault.path, fault.source])).toEqual([[where, path('values.yaml')]])
  })

  it.each(['__proto__.x=1', 'machine.__proto__.cpus=4'])('of --set %s, too', async (assignment) => {
    const [fault] = await faultsOf(resolvePipeline(sample(), [parseAssignment(assignment)]))
    expect(fault).toMatchObject({ rule: 'is not known here', source: `--set ${assignment.split('=')[0]}` })
  })

  it('do not change the pipeline that they are laid over', () => {
    const base = { a: { b: 1, c: 2 } }
    expect(mergeOver(base, { a: { b: 3 } })).toEqual({ a: { b: 3, c: 2 } })
    expect(base).toEqual({ a: { b: 1, c: 2 } })
  })
})

describe('a file of overrides', () => {
  it('may be empty', async () => {
    expect((await yaml('# nothing\n')).values).toEqual({})
  })

  it.each([
    ['no YAML', 'a: [1,\n', 'not valid YAML'],
    ['a list as a key', '? ["\\e[2J", x]\n: 1\n', 'a key must be a string\n'],
    ['one key twice', 'hostname: a\nhostname: b\n', 'the key hostname appears twice\n'],
    ['one key twice within another', 'machine:\n  cpus: 1\n  cpus: 2\n', 'the key cpus appears twice'],
    ['more than any pipeline has', `# ${'x'.repeat(2 ** 16)}\n`, 'at most 65536 are read'],
    ['a list', '- a\n', 'must have keys and values'],
    ['an alias that leads nowhere', 'machine: *nope\n', 'Unresolved alias'],
    [
      'aliases of aliases of aliases',
      [
        'a: &a [x, x, x, x, x, x, x, x, x, x]',
        ...['ab', 'bc', 'cd', 'de'].map(([from, to]) => `${to}: &${to} [${`*${from}, `.repeat(10)}]`),
        '',
      ].join('\n'),
      'not valid YAML',
    ],
    ['a value that holds itself', 'a: &a {b: *a}\n', 'inside the value that it repeats'],
  ])('with %s is refused by its name', async (_case, text, message) => {
    const error = await failure(yaml(text))
    expect(error.message).toContain(message)
    expect(error.message).toContain(path('values.yaml'))
  })

  it('that is missing is refused by its name', async () => {
    expect((await failure(readOverrides(path('none.yaml')))).message).toContain(
      `${path('none.yaml')}: it does not exist (ENOENT)`,
    )
  })
})

describe('--set', () => {
  it.each([
    ['machine.cpus=4', { machine: { cpus: 4 } }],
    ['hostname=box', { hostname: 'box' }],
    [
      'mirror.debian=http://a.example.org/debian?x=y',
      { mirror: { debian: 'http://a.example.org/debian?x=y' } },
    ],
    ['stages.apt_upgrade.backports=true', { stages: { apt_upgrade: { backports: true } } }],
    ['account.groups=[a, b]', { account: { groups: ['a', 'b'] } }],
    ['account.fullName=', { account: { fullName: null } }],
    ['account.fullName=""', { account: { fullName: '' } }],
  ])('%s', (assignment, values) => {
    expect(parseAssignment(assignment).values).toEqual(values)
  })

  it.each(['hostname', '=x', 'a..b=1', '.a=1', 'a.=1', 'a b=1'])('refuses %j and shows how', (assignment) => {
    expect(() => parseAssignment(assignment)).toThrow(
      `--set needs path=value, found ${JSON.stringify(assignment)}`,
    )
  })

  it('refuses a value that holds itself', () => {
    expect(() => parseAssignment('machine.cpus=&a [*a]')).toThrow(
      'the value of --set machine.cpus is not valid YAML: an alias (*) is inside the value that it repeats',
    )
  })

  it('refuses a value that is no YAML', () => {
    expect(() => parseAssignment('account.groups=[a')).toThrow(
      'the value of --set account.groups is not valid YAML',
    )
  })
})

describe("a stage's script", () => {
  const faults = () => faultsOf(resolvePipeline(sampleWithoutScripts()))
  /** The sample pipeline, whose files have been changed since. */
  let sampleWithoutScripts: () => Pipeline

  it('that is missing is a fault with its path', async () => {
    const pipeline = sample()
    rmSync(path('second.sh'))
    sampleWithoutScripts = () => pipeline
    expect(await faults()).toMatchObject([
      { path: 'stages.second.script', rule: 'the script does not exist', found: path('second.sh') },
    ])
  })

  it('that is empty is one', async () => {
    const pipeline = sample()
    writeFileSync(path('second.sh'), '\n  \n')
    sampleWithoutScripts = () => pipeline
    expect(await faults()).toMatchObject([
      { path: 'stages.second.script', rule: 'the script is empty', found: path('second.sh') },
    ])
  })

  it('that is a folder, and files that are none, are both reported', async () => {
    const pipeline = sample()
    rmSync(path('first.sh'))
    mkdirSync(path('first.sh'))
    rmSync(path('payload'), { recursive: true })
    sampleWithoutScripts = () => pipeline
    expect((await faults()).map((fault) => [fault.path, fault.rule])).toEqual([
      ['stages.first.script', 'cannot be read'],
      ['stages.second.files.payload', 'must be a folder or a tarball that exists'],
    ])
  })

  it('need not be executable', async () => {
    const pipeline = sample()
    chmodSync(path('second.sh'), 0o600)
    await expect(resolvePipeline(pipeline)).resolves.toBeDefined()
  })
})

describe('a pipeline file', () => {
  it('of this project is sound, and builds what its variants say', async () => {
    const { images } = await loadPipeline('pipeline.ts', [])
    expect(images.length).toBeGreaterThan(0)
    for (const { stages } of images) expect(stages.length).toBeGreaterThan(0)
  })

  it('with no stage that takes a payload refuses one', async () => {
    const error = await failure(loadPipeline(tinyPipeline, [], '/some/tree'))
    expect(error).toMatchObject({ code: 'usage', exitCode: 2 })
    expect(error.message).toMatch(/^--payload \/some\/tree: no stage of .* takes CloudStack's scripts$/)
  })

  it('that is missing is refused by its path', async () => {
    const error = await failure(loadPipeline(path('pipeline.ts'), []))
    expect(error.message).toBe(`there is no pipeline file ${path('pipeline.ts')}`)
  })
})

describe('the images that are meant', () => {
  const two = () =>
    resolvePipeline(
      definePipeline({
        ...sound,
        variants: [
          { suite: 'trixie', arch: 'x86_64' },
          { suite: 'bookworm', arch: 'x86_64', label: 'old' },
        ],
        stages: [],
      }),
    )
  const names = (images: readonly { readonly variant: string }[]) => images.map(({ variant }) => variant)

  it('are the first, the named ones, or all', async () => {
    const pipeline = await two()
    expect(names(chooseImages(pipeline, [], false))).toEqual(['trixie-x86_64'])
    expect(names(chooseImages(pipeline, ['bookworm-x86_64'], false))).toEqual(['bookworm-x86_64'])
    expect(names(chooseImages(pipeline, [], true))).toEqual(['trixie-x86_64', 'bookworm-x86_64'])
  })

  it('are none for a name that is not there, which lists those that are', async () => {
    const pipeline = await two()
    const error = await failure((async () => chooseImages(pipeline, ['bookworm'], false))())
    expect(error.message).toBe('there is no variant "bookworm"')
    expect(error.hint).toBe('name one of trixie-x86_64, bookworm-x86_64.')
  })
})

describe('a text that looks like a number', () => {
  const fields = { release: '4.20', formats: { kvm: { compat: '0.10' } } }
  const settings = 'release: 4.20\nformats: {kvm: {compat: 0.10}}\nstages: {third: {word: 1e3}}\n'

  it('is a text where the schema wants one, in YAML and in --set', async () => {
    const assignments = ['release=4.20', 'formats.kvm.compat=0.10', 'stages.third.word=1e3'].map(
      parseAssignment,
    )
    for (const overrides of [[await yaml(settings)], assignments]) {
      const [image] = await resolved({}, overrides)
      expect(image).toMatchObject(fields)
      expect(image?.stages.at(-1)?.settings).toMatchObject({ word: '1e3' })
    }
  })

  it.each([
    ['hostname=010', { hostname: '010' }],
    ['hostname=true', { hostname: 'true' }],
    ['account.groups=[1.0, audio]', undefined],
    ['machine.cpus=0x4', { machine: { cpus: 4 } }],
  ])('is read as the schema says: %s', async (assignment, expected) => {
    const overrides = [parseAssignment(assignment)]
    if (expected !== undefined) expect((await resolved({}, overrides))[0]).toMatchObject(expected)
    else
      expect(await faultsOf(resolvePipeline(sample(), overrides))).toMatchObject([
        { path: 'account.groups[0]', rule: 'must be a group name', found: '"1.0"' },
      ])
  })

  it.each([
    ['machine.memoryMiB=010', { rule: 'must be at least 256 MiB', found: '10' }],
    ['formats.kvm.compat=0.11', { found: '"0.11"' }],
    ['hostname=null', { found: 'null' }],
  ])('is shown as it was written, unless a number is wanted: %s', async (assignment, fault) => {
    expect(await faultsOf(resolvePipeline(sample(), [parseAssignment(assignment)]))).toMatchObject([fault])
  })

  it('is the later of two', async () => {
    const [image] = await resolved({}, [await yaml(settings), parseAssignment('release=4.30')])
    expect(image?.release).toBe('4.30')
  })
})
