/** Whatever is fed to it: a defined exit code, no stack, no hang, nothing written elsewhere, and no secret shown. */

import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { stringify } from 'yaml'
import pipeline from '../../../pipeline.ts'
import { parseCommandLine } from '../../../src/cli/main.ts'
import { createTerminal } from '../../../src/cli/terminal.ts'
import { beginnings, endings, kinds, makeContents, makeHugeFile } from '../../support/hostile-files.ts'
import { expectSafe, feed, others, secret, textOf, useHostileFolder } from '../../support/hostile-input.ts'
import { findPathInputs, makeSamples } from '../../support/path-inputs.ts'
import { textSettings } from '../../support/settings.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'

const path = useHostileFolder()

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
    const before = others(path())
    const words = settings.flatMap((_setting, index) => ['--config', path(`${index}.yaml`)])
    // All of them, and each of some by itself: what is refused alone may hide what another one does.
    await expectDefined(['plan', '--out', path('out'), ...words])
    const turn = corpus.findIndex(([, one]) => one === value)
    for (const index of settings.keys())
      if (index % corpus.length === turn)
        await expectDefined(['plan', '--out', path('out'), '--config', path(`${index}.yaml`)])
    expect(others(path())).toEqual(before)
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

const inputs = await findPathInputs()
const diskInputs = inputs.filter(({ expects }) => expects === 'disk')

describe('every path', () => {
  it.each(inputs)('is given in a command line that the program takes: $name', async ({ wordsFor }) => {
    const words = wordsFor(path('file'), await makeSamples(path()))
    await expect(parseCommandLine(words, createTerminal(process))).resolves.toBeTypeOf('function')
  })

  it.each(inputs)('may be anything: $name', async ({ name, expects, isWritten, isShared, wordsFor }) => {
    const samples = await makeSamples(path())
    const turn = inputs.findIndex((one) => one.name === name)
    const made = Object.entries(kinds).filter((_kind, index) => !isShared || (index + turn) % 2 === 0)
    // The rest is fed by chance, in `test/survive/hostile-input.test.ts`.
    for (const [kind, make] of expects === 'text'
      ? [...made, ['a huge file', makeHugeFile] as const]
      : made) {
      const file = path(`ü ${kind}.v1`)
      make(file)
      await expectSafe(path(), wordsFor(file, samples), `${name}: ${kind}`, isWritten)
    }
  })

  it('may be an image that the configuration names', async () => {
    for (const [kind, make] of Object.entries(kinds)) {
      const file = path(`ü ${kind}.v1`)
      make(file)
      const image = `installer={image: ${JSON.stringify(file)}}`
      const words = ['plan', '--pipeline', tinyPipeline, '--out', path('out'), '--set', image]
      await expectSafe(path(), words, kind)
    }
  })

  it.each(diskInputs)('may have any ending, whatever is in the file: $name', async ({ name, wordsFor }) => {
    mkdirSync(path('contents'))
    const samples = await makeSamples(path())
    const contents = { ...kinds, ...makeContents(path('contents')) }
    const turn = diskInputs.findIndex((one) => one.name === name)
    for (const [index, [what, make]] of Object.entries(contents).entries()) {
      const ending = endings[(index + turn * 3) % endings.length]
      const file = path(`${beginnings[(index + turn) % beginnings.length]}${ending}`)
      make(file)
      await expectSafe(path(), wordsFor(file, samples), `${name}: ${what} as ${file}`)
      rmSync(file, { recursive: true, force: true })
    }
  })

  it('may lead to an output folder with anything in it', async () => {
    const verbs = [['plan'], ['summary'], ['release'], ['lock', 'update'], ['store', 'ls'], ['verify']]
    for (const [index, [kind, make]] of Object.entries(kinds).entries())
      for (const [turn, name] of ['report.json', 'store', 'cache', 'runs', 'images'].entries()) {
        const out = path('out', `${index} ${turn}`)
        mkdirSync(out, { recursive: true })
        make(join(out, name))
        const verb = verbs[(index + turn) % verbs.length] ?? []
        await expectSafe(
          path(),
          [...verb, '--pipeline', tinyPipeline, '--out', out],
          `${verb.join(' ')}: ${name} is ${kind}`,
        )
      }
  })

  it.each(inputs)(
    'is not the current folder where an unset variable has left it empty: $name',
    async ({ wordsFor }) => {
      const words = wordsFor('', await makeSamples(path()))
      expect(await expectDefined(words, [2])).toMatch(/ is empty: give it a value, or leave it out/)
    },
  )
})

describe('init', () => {
  it.each([
    ['package.json', 'elsewhere/none'],
    ['pipeline.ts', 'elsewhere/none'],
    ['stages', 'elsewhere'],
    ['.github', 'elsewhere'],
  ])('writes nothing where a link leads: %s', async (name, target) => {
    mkdirSync(path('appliance'))
    mkdirSync(path('elsewhere'))
    symlinkSync(path(target), path('appliance', name))
    const { exitCode, said } = await feed('init', path('appliance'))
    expect(exitCode, said).toBe(2)
    expect(said).toContain(`already has ${name}`)
    expect(readdirSync(path('elsewhere'))).toEqual([])
    expect(readdirSync(path('appliance'))).toEqual([name])
  })
})
