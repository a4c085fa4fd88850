/** Whatever is fed to it: a defined exit code, no stack, no hang, nothing written elsewhere, and no secret shown. */

import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { stringify } from 'yaml'
import pipeline from '../../../pipeline.ts'
import { main } from '../../../src/cli/main.ts'
import { useFolder } from '../../support/folder.ts'
import { textSettings } from '../../support/settings.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'

const path = useFolder()

/** Runs the program here, which costs no second of starting it. */
async function run(...words: string[]): Promise<{ readonly exitCode: number; readonly said: string }> {
  let said = ''
  const spies = (['stdout', 'stderr'] as const).map((to) =>
    vi.spyOn(process[to], 'write').mockImplementation((chunk) => {
      said += chunk.toString()
      return true
    }),
  )
  try {
    return { exitCode: await main(words), said }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

/** The paths below the test's folder, without those of `--out`. */
const listing = () =>
  readdirSync(path(), { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('out'))
    .sort()

async function expectDefined(
  words: readonly string[],
  codes: readonly number[] = [0, 2, 3],
): Promise<string> {
  const { exitCode, said } = await run(...words)
  const shown = `${words.join(' ').slice(0, 300)}\n${said.slice(0, 2000)}`
  expect(said, shown).not.toMatch(/this is a bug|^ {4}at /m)
  expect(codes, shown).toContain(exitCode)
  return said
}

const secret = 'pl4nted'
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
    const before = listing()
    const words = settings.flatMap((_setting, index) => ['--config', path(`${index}.yaml`)])
    // All of them, and each of some by itself: what is refused alone may hide what another one does.
    await expectDefined(['plan', '--out', path('out'), ...words])
    const turn = corpus.findIndex(([, one]) => one === value)
    for (const index of settings.keys())
      if (index % corpus.length === turn)
        await expectDefined(['plan', '--out', path('out'), '--config', path(`${index}.yaml`)])
    expect(listing()).toEqual(before)
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
  const kinds: readonly (readonly [string, (file: string) => void])[] = [
    ['nothing', () => undefined],
    ['a folder', (file) => mkdirSync(file)],
    ['a FIFO', (file) => execFileSync('mkfifo', [file])],
    ['a device', (file) => symlinkSync('/dev/zero', file)],
    ['a link to itself', (file) => symlinkSync(file, file)],
    ['an empty file', (file) => writeFileSync(file, '')],
    ['a text', (file) => writeFileSync(file, '#!/bin/sh\nexit 0\n')],
    [
      'random bytes',
      (file) =>
        writeFileSync(file, Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 167) % 256))),
    ],
  ]
  const kindsOfText: typeof kinds = [
    ...kinds,
    [
      'a huge file',
      (file) => {
        writeFileSync(file, '')
        truncateSync(file, 2 ** 40)
      },
    ],
  ]
  /** Which hold a text, and are read as a whole. */
  const texts: readonly (readonly [string, (file: string) => readonly string[]])[] = [
    ['plan --config', (file) => ['plan', '--config', file]],
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
  const uses: readonly (readonly [string, (file: string) => readonly string[]])[] = [
    ['plan --pipeline', (file) => ['plan', '--pipeline', file]],
    ['plan --payload', (file) => ['plan', '--payload', file]],
    ['plan --out', (file) => ['plan', '--out', file]],
    ['render --out', (file) => ['render', '--out', file]],
    ['plan with an image', (file) => ['plan', '--set', `installer={image: ${file}}`]],
    ['export --from', (file) => ['export', '--targets', 'raw', '--from', file]],
    ['verify', (file) => ['verify', '--target', 'kvm', '--scenes', 'none', file]],
    ['run', (file) => ['run', file]],
    ['diff', (file) => ['diff', file, file]],
    ['release verify', (file) => ['release', 'verify', file]],
    ['store ls', (file) => ['store', 'ls', '--out', file]],
  ]

  it.each(uses)('may be anything: %s', async (_use, wordsOf) => {
    for (const [what, make] of kinds) {
      // Dots and spaces, and a letter of two bytes.
      const file = path(`ü ${what}.v1.qcow2`)
      make(file)
      const before = listing()
      const words = wordsOf(file)
      const elsewhere =
        words.includes('--out') || words[0] === 'diff' || words[1] === 'verify' ? [] : ['--out', path('out')]
      await expectDefined([...words, ...elsewhere], [0, 1, 2, 3, 4])
      if (!words.includes('--out')) expect(listing(), what).toEqual(before)
    }
  })

  it.each(texts)('may be anything where a text is expected: %s', async (_use, wordsOf) => {
    mkdirSync(path('release'))
    writeFileSync(path('release', 'release.json'), '{}')
    writeFileSync(path('signers'), '')
    for (const [what, make] of kindsOfText) {
      const file = path(`ü ${what}.yaml`)
      make(file)
      const words = wordsOf(file)
      const elsewhere = words[0] === 'release' ? [] : ['--out', path('out')]
      await expectDefined([...words, ...elsewhere], [0, 2, 4])
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

afterEach(() => vi.unstubAllEnvs())

/** All that was written below a folder. */
function textOf(folder: string): string {
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
  return names
    .map((name) => join(folder, name))
    .map((file) => (statSync(file).isFile() ? readFileSync(file, 'latin1') : ''))
    .join('\n')
}
