/** Whatever is fed to it: a defined exit code, no stack, no hang, nothing written elsewhere, and no secret shown. */

import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { stringify } from 'yaml'
import pipeline from '../../../pipeline.ts'
import { useFolder } from '../../support/folder.ts'
import {
  beginnings,
  diskUses,
  endings,
  faultsOf,
  feed,
  kinds,
  listing,
  makeContents,
  textOf,
  uses,
} from '../../support/hostile-input.ts'
import { textSettings } from '../../support/settings.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'

const path = useFolder()
const secret = 'pl4nted'

// A guest that boots would run on.
vi.mock('../../../src/guest/run-guest.ts', async (original) => ({
  ...(await original<typeof import('../../../src/guest/run-guest.ts')>()),
  runGuest: async () => 0,
}))

/** Runs the program, which must be safe: no hang, no stack, no secret, and nothing written but to `out`. */
async function expectSafe(words: readonly string[], title: string, isOut = false): Promise<void> {
  const before = others()
  const outcome = await feed(...words)
  expect(faultsOf(outcome, secret), `${title}\n${outcome.said.slice(0, 2000)}`).toEqual([])
  if (!isOut) expect(others(), title).toEqual(before)
}

/** The paths below the test's folder, without those of `--out`. */
const others = () => listing(path()).filter((name) => !name.startsWith('out'))

async function expectDefined(
  words: readonly string[],
  codes: readonly number[] = [0, 2, 3],
): Promise<string> {
  const { exitCode, said } = await feed(...words)
  const shown = `${words.join(' ').slice(0, 300)}\n${said.slice(0, 2000)}`
  expect(said, shown).not.toMatch(/this is a bug|^ {4}at /m)
  expect(codes, shown).toContain(exitCode)
  return said
}

const settings = textSettings(pipeline.stages)

describe('every text of the configuration', () => {
  it('is found', () => {
    const names = settings.map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining([
        'name',
        'mirror.debian',
        'variants[].label',
        'debianInstaller.iso.url',
        'installer.image',
        'stages.configure_login.rootPasswordHash',
        'stages.authorized_keys.keys[]',
      ]),
    )
  })

  const corpus: readonly (readonly [string, unknown])[] = [
    ['nothing', ''],
    ['a space', ' '],
    ['an option', '-osize=1'],
    ['a path that leads out', '../../../etc/passwd'],
    ['a device', '/dev/zero'],
    ['lines', 'a\nb\r\n::warning::c'],
    ['other letters', 'ü😀\u202e\u0000'],
    ['half of a letter', '\ud800'],
    ['shell', '$(id) `id` \' " \\ ; | &'],
    ['templates', '{{user `x`}} ${env.HOME} %s'],
    ['a name of every object', '__proto__'],
    ['a long text', 'x'.repeat(70_000)],
    ['an address that is none', 'http://[fe80::1%25eth0]:70000/?x'],
    ['a number', -1.5],
    ['a huge number', 2 ** 60],
    ['none', null],
    ['a truth', true],
    ['a list', [['x']]],
    ['a map', { constructor: { prototype: 1 } }],
  ]

  it.each(corpus)('may be %s', async (_what, value) => {
    for (const [index, { holding }] of settings.entries())
      writeFileSync(path(`${index}.yaml`), stringify(holding(value)))
    const before = others()
    const words = settings.flatMap((_setting, index) => ['--config', path(`${index}.yaml`)])
    // All of them, and each of some by itself: what is refused alone may hide what another one does.
    await expectDefined(['plan', '--out', path('out'), ...words])
    const turn = corpus.findIndex(([, one]) => one === value)
    for (const index of settings.keys())
      if (index % corpus.length === turn)
        await expectDefined(['plan', '--out', path('out'), '--config', path(`${index}.yaml`)])
    expect(others()).toEqual(before)
  })

  it.each(['plan', 'render'])('shows no credentials in it: %s', async (verb) => {
    vi.stubEnv('http_proxy', `http://user:${secret}@${secret}@127.0.0.1:9/`)
    for (const [index, { name, holding }] of settings.entries()) {
      const value = /passw/i.test(name) ? secret : `http://user:${secret}@${secret}@host.example/x.iso`
      writeFileSync(path('one.yaml'), stringify(holding(value)))
      const said = await expectDefined([verb, '--out', path('out', `${index}`), '--config', path('one.yaml')])
      expect(said, name).not.toContain(secret)
      const parts = name.split('.')
      if (name.includes('[')) continue
      const assigned = await expectDefined([
        verb,
        '--out',
        path('out', `${index}`),
        '--set',
        `${parts.join('.')}=${value}`,
      ])
      expect(assigned, name).not.toContain(secret)
    }
    expect(textOf(path('out'))).not.toContain(secret)
  })

  it('shows none of its options and its environment in a build that fails', async () => {
    const login = `user:${secret}/${secret}@${secret}@127.0.0.1:9`
    for (const name of ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'])
      vi.stubEnv(name, `http://${login}/`)
    for (const name of ['GITHUB_TOKEN', 'DOCKER_AUTH_CONFIG', 'PACKER_LOG_PATH_OF_NONE'])
      vi.stubEnv(name, secret)
    const words = ['build', '--out', path('out'), '--pipeline', tinyPipeline]
    expect(await expectDefined(['doctor', '--pipeline', tinyPipeline])).not.toContain(secret)
    for (const more of [
      [],
      ['--json'],
      ['--payload', `http://${login}/x.tgz#sha256=${'0'.repeat(64)}`],
      ['--set', `mirror.debian=http://${login}/debian`],
      ['--set', `installer={image: "https://${login}/x.raw#sha256=${'0'.repeat(64)}"}`],
    ])
      expect(await expectDefined([...words, ...more])).not.toContain(secret)
    expect(textOf(path('out'))).not.toContain(secret)
  })
})

describe('every path', () => {
  it.each(uses.map(({ name, wordsFor }) => [name, wordsFor] as const))(
    'may be anything: %s',
    async (name, wordsFor) => {
      const turn = uses.findIndex((one) => one.name === name)
      for (const [index, [kind, make]] of Object.entries(kinds).entries()) {
        // The rest is fed by chance, in `test/survive/hostile-input.test.ts`.
        if ((index + turn) % 2 === 1) continue
        const file = path(`ü ${kind}.v1`)
        make(file)
        await expectSafe(wordsFor(file, path('out')), `${name}: ${kind}`, name.endsWith('--out'))
      }
    },
  )

  it.each(diskUses.map(({ name, wordsFor }) => [name, wordsFor] as const))(
    'may be anything that a disk is not: %s',
    async (name, wordsFor) => {
      for (const [index, [kind, make]] of Object.entries(kinds).entries()) {
        const file = path(`${kind}${endings[index % endings.length]}`)
        make(file)
        await expectSafe(wordsFor(file, path('out')), `${name}: ${file}`)
      }
    },
  )

  it.each(diskUses.map(({ name, wordsFor }) => [name, wordsFor] as const))(
    'may have any ending, whatever is in the file: %s',
    async (name, wordsFor) => {
      mkdirSync(path('contents'))
      const turn = diskUses.findIndex((one) => one.name === name)
      for (const [index, [what, make]] of Object.entries(makeContents(path('contents'))).entries()) {
        const ending = endings[(index + turn * 3) % endings.length]
        const file = path(`${beginnings[(index + turn) % beginnings.length]}${ending}`)
        make(file)
        await expectSafe(wordsFor(file, path('out')), `${name}: ${what} as ${file}`)
        rmSync(file)
      }
    },
  )

  it('may lead to an output folder with anything in it', async () => {
    const verbs = [['plan'], ['summary'], ['release'], ['lock', 'update'], ['store', 'ls'], ['verify']]
    for (const [index, [kind, make]] of Object.entries(kinds).entries())
      for (const [turn, name] of ['report.json', 'store', 'cache', 'runs', 'images'].entries()) {
        const out = path('out', `${index} ${turn}`)
        mkdirSync(out, { recursive: true })
        make(join(out, name))
        const verb = verbs[(index + turn) % verbs.length] ?? []
        await expectSafe(
          [...verb, '--pipeline', tinyPipeline, '--out', out],
          `${verb.join(' ')}: ${name} is ${kind}`,
        )
      }
  })

  const texts: readonly (readonly [string, (file: string) => readonly string[]])[] = [
    ['plan --config', (file) => ['plan', '--config', file, '--out', path('out')]],
    ['release verify --signers', (file) => ['release', 'verify', path('release'), '--signers', file]],
    [
      'release verify --revoked',
      (file) => ['release', 'verify', path('release'), '--signers', path('signers'), '--revoked', file],
    ],
    ['release verify --keyring', (file) => ['release', 'verify', path('release'), '--keyring', file]],
    [
      'release verify --trusted-root',
      (file) => ['release', 'verify', path('release'), '--attested-by', 'https://x', '--trusted-root', file],
    ],
  ]

  it.each(texts)('may be anything where a text is expected: %s', async (name, wordsFor) => {
    mkdirSync(path('release'))
    writeFileSync(path('release', 'release.json'), '{}')
    writeFileSync(path('signers'), '')
    const huge = (file: string) => {
      writeFileSync(file, '')
      truncateSync(file, 2 ** 40)
    }
    for (const [kind, make] of Object.entries({ ...kinds, 'a huge file': huge })) {
      const file = path(`ü ${kind}.yaml`)
      make(file)
      await expectSafe(wordsFor(file), `${name}: ${kind}`)
    }
  })

  it.each(['plan --payload', 'plan --out', 'plan --config', 'plan --set', 'export --from', 'run --folder'])(
    'is not the current folder where an unset variable has left it empty: %s',
    async (words) => {
      const [verb = '', option = ''] = words.split(' ')
      const more = verb === 'run' ? ['x.qcow2'] : []
      expect(await expectDefined([verb, option, '', ...more], [2])).toMatch(
        / is empty: give it a value, or leave it out/,
      )
    },
  )
})

beforeEach(() => {
  mkdirSync(path('temporary'))
  vi.stubEnv('TMPDIR', path('temporary'))
  vi.stubEnv('https_proxy', `http://user:${secret}@127.0.0.1:9/`)
  vi.stubEnv('GITHUB_TOKEN', secret)
})

afterEach(() => {
  expect(listing(path('temporary'))).toEqual([])
  expect(textOf(path('out'))).not.toContain(secret)
  vi.unstubAllEnvs()
})
