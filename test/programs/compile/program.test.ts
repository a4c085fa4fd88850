/** The program compiles itself, on a small clone with the real compiler. */

import { execFile } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { packagesOfManyFiles } from '../../../src/compile/sources.js'

const project = fileURLToPath(new URL('../../..', import.meta.url))
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'systemvm-compile-'))
  for (const path of ['clone/src/cli', 'clone/provisioners', 'temporary'])
    mkdirSync(join(folder, path), { recursive: true })
  for (const path of ['bin', 'src/compile', 'package.json', 'package-lock.json'])
    cpSync(join(project, path), join(folder, 'clone', path), { recursive: true })
  symlinkSync(join(project, 'node_modules'), join(folder, 'clone/node_modules'))
  write('pipeline.ts', 'export default 1\n')
  write('src/where.ts', "export const where: string = new URL('.', import.meta.url).href\n")
  say('first')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const write = (path: string, text: string) => writeFileSync(join(folder, 'clone', path), text)
/** Makes the clone's program print a word and where it believes to be. */
const say = (word: string) =>
  write(
    'src/cli/main.ts',
    "import { where } from '../where.ts'\n" +
      `export const main = async (words: string[]): Promise<number> => {\n` +
      `  console.log('${word}', words.length, where)\n  return 0\n}\n`,
  )
const compiled = () => readdirSync(join(folder, 'clone/.compiled')).sort()

/** No mode keeps root from writing: then it is nobody who runs. */
const anotherUser = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

/** Gives the clone packages of its own: the project may be in root's home, where nobody can read it. */
function copyPackages() {
  rmSync(join(folder, 'clone/node_modules'))
  const { packages } = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dependencies?: Readonly<Record<string, string>> }>>
  }
  const paths = new Set(['esbuild', '@esbuild', 'commander', ...packagesOfManyFiles].map(pathOf))
  // Grows on the way.
  for (const path of paths) {
    for (const name of Object.keys(packages[path]?.dependencies ?? {})) paths.add(pathOf(name))
    cpSync(join(project, path), join(folder, 'clone', path), { recursive: true })
  }
}

const pathOf = (name: string) => `node_modules/${name}`

/** Runs the clone's program. */
function run(env: Readonly<Record<string, string>> = {}, user: { uid?: number; gid?: number } = {}) {
  const program = join(folder, 'clone/bin/systemvm-image.js')
  const options = { cwd: folder, env: { ...process.env, TMPDIR: join(folder, 'temporary'), ...env }, ...user }
  return new Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>(
    (resolve) => {
      execFile(process.execPath, [program, 'word'], options, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      })
    },
  )
}

describe('the program', () => {
  it('is compiled once, and once more after a change', async () => {
    const where = `file://${join(folder, 'clone/src/')}`
    expect(await run()).toEqual({ code: 0, stdout: `first 1 ${where}\n`, stderr: '' })
    const [first] = compiled()
    expect((await run()).stdout).toBe(`first 1 ${where}\n`)
    expect(compiled()).toEqual([first])
    say('second')
    expect((await run()).stdout).toBe(`second 1 ${where}\n`)
    expect(compiled()).toHaveLength(2)
  })

  it('replaces import.meta.url where it is code, not where it is text', async () => {
    const source =
      "const text = 'import.meta.url'\nexport const where: string = `${text} ${new URL(import.meta.url).pathname}`\n"
    const path = join(folder, 'clone/src/where.ts')
    for (const begin of ['', '#!/usr/bin/env node\n']) {
      write('src/where.ts', begin + source)
      expect(await run()).toEqual({ code: 0, stdout: `first 1 import.meta.url ${path}\n`, stderr: '' })
    }
  })

  it('has packages of many files in modules of its own, CommonJS and others', async () => {
    write(
      'src/cli/main.ts',
      "import { execaSync } from 'execa'\n" +
        "import Handlebars from 'handlebars'\n" +
        "import { Agent } from 'undici'\n" +
        "import { parse } from 'yaml'\n" +
        'export const main = async (): Promise<number> => {\n' +
        "  const { stdout } = execaSync('echo', [Handlebars.compile('{{a}} {{b}}')(parse('{ a: 1, b: 2 }'))])\n" +
        '  console.log(stdout, typeof Agent)\n  return 0\n}\n',
    )
    expect(await run()).toEqual({ code: 0, stdout: '1 2 function\n', stderr: '' })
    rmSync(join(folder, 'clone/node_modules'))
    expect(await run()).toEqual({ code: 0, stdout: '1 2 function\n', stderr: '' })
  })

  it('puts nothing into folders that others share', async () => {
    await run()
    expect(readdirSync(join(folder, 'temporary'))).toEqual([])
  })

  it('starts where TMPDIR is missing', async () => {
    expect(await run({ TMPDIR: join(folder, 'none') })).toMatchObject({ code: 0, stderr: '' })
  })

  it('is compiled once by processes that start at the same time', async () => {
    const ended = await Promise.all([run(), run(), run(), run()])
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0])
    expect(compiled()).toHaveLength(1)
  })

  it('says where it does not compile, and leaves nothing', async () => {
    write('src/where.ts', 'export const = 1\n')
    const { code, stderr } = await run()
    expect(code).toBe(1)
    expect(stderr).toContain('src/where.ts:1:13')
    expect(stderr).not.toContain('    at ')
    expect(compiled()).toEqual([])
  })

  it('runs nothing that another user has compiled in this clone', async () => {
    expect((await run()).code).toBe(0)
    const [name = ''] = compiled()
    const modules = join(folder, 'clone/.compiled', name)
    writeFileSync(join(modules, 'src/cli/main.js'), "export const main = () => console.log('not ours')\n")
    expect((await run()).stdout).toBe('not ours\n')
    chmodSync(modules, 0o777)
    expect((await run()).stdout).not.toContain('not ours')
    chmodSync(modules, 0o755)
    // Only root may give it away.
    if (anotherUser.uid === undefined) return
    chownSync(modules, anotherUser.uid, anotherUser.gid)
    expect((await run()).stdout).not.toContain('not ours')
  })

  it('runs in the clone of another user, with its packages', async () => {
    copyPackages()
    write(
      'src/cli/main.ts',
      "import { Command } from 'commander'\n" +
        'export const main = async (): Promise<number> => {\n' +
        "  console.log(new Command('run').name())\n  return 0\n}\n",
    )
    for (const path of ['', 'temporary']) chmodSync(join(folder, path), 0o777)
    chmodSync(join(folder, 'clone'), 0o555)
    expect(await run({}, anotherUser)).toEqual({ code: 0, stdout: 'run\n', stderr: '' })
    expect(readdirSync(join(folder, 'temporary'))).toEqual([])
    chmodSync(join(folder, 'clone'), 0o700)
  })

  it('runs what the owner of the clone has compiled, and compiles where that cannot be read', async () => {
    copyPackages()
    for (const path of ['', 'clone']) chmodSync(join(folder, path), 0o755)
    chmodSync(join(folder, 'temporary'), 0o777)
    expect((await run()).code).toBe(0)
    const [name = ''] = compiled()
    const modules = join(folder, 'clone/.compiled', name)
    writeFileSync(join(modules, 'src/cli/main.js'), "export const main = () => console.log('compiled')\n")
    expect(await run({}, anotherUser)).toMatchObject({ stdout: 'compiled\n', stderr: '' })
    chmodSync(modules, anotherUser.uid === undefined ? 0o000 : 0o700)
    expect(await run({}, anotherUser)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^first /) })
    chmodSync(modules, 0o755)
  })
})
