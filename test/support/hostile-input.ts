/** What people feed this program by mistake or on purpose, and what must hold whatever it is. */

import { execFileSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { vi } from 'vitest'
import { main } from '../../src/cli/main.ts'
import { tinyPipeline } from './tiny-pipeline.ts'

/** What may be at a path, by what it is. */
export const kinds: Readonly<Record<string, (file: string) => void>> = {
  nothing: () => undefined,
  'a folder': (file) => mkdirSync(file),
  'a FIFO': (file) => execFileSync('mkfifo', [file]),
  'a device': (file) => symlinkSync('/dev/zero', file),
  'a link to itself': (file) => symlinkSync(file, file),
  'a link to nothing': (file) => symlinkSync(`${file}.none`, file),
  'an empty file': (file) => writeFileSync(file, ''),
  'a text': (file) => writeFileSync(file, '#!/bin/sh\nexit 0\n'),
  'a file with holes': (file) => {
    const opened = openSync(file, 'w')
    ftruncateSync(opened, 2 ** 28)
    closeSync(opened)
  },
  'random bytes': (file) =>
    writeFileSync(file, Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 167) % 256))),
}

type Make = (file: string) => void

const run = (program: string, ...words: readonly string[]) =>
  execFileSync(program, words, {
    stdio: 'pipe',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })

/** Makes one disk in many containers. @param folder for what they are made of */
export function makeContents(folder: string): Readonly<Record<string, Make>> {
  const at = (name: string) => join(folder, name)
  const image = (format: string, options: readonly string[] = []): Make => {
    const made = at(`${format}${options.join()}`)
    run('qemu-img', 'convert', '-f', 'raw', '-O', format, ...options, at('disk.raw'), made)
    return (file) => copyFileSync(made, file)
  }
  writeFileSync(at('disk.raw'), '')
  truncateSync(at('disk.raw'), 4 * 1024 ** 2)
  run('mke2fs', '-q', '-t', 'ext2', at('disk.raw'))
  const stream = image('vmdk', ['-o', 'subformat=streamOptimized'])
  const qcow2 = image('qcow2')
  for (const name of ['a.vmdk', 'b.VMDK']) stream(at(name))
  qcow2(at('one.qcow2'))
  qcow2(at('two.qcow2'))
  writeFileSync(at('a.ovf'), '<Envelope/>')
  const tar = (format: string, names: readonly string[]) => (file: string) =>
    run('tar', `--format=${format}`, '-C', folder, '-cf', file, ...names)
  const zip = (names: readonly string[]) => (file: string) =>
    run(
      'python3',
      '-c',
      'import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], "w") as z:\n for n in sys.argv[3:]: z.write(sys.argv[2] + "/" + n, n)',
      file,
      folder,
      ...names,
    )
  const cut = (make: Make, share: number) => (file: string) => {
    make(file)
    truncateSync(file, Math.floor(statSync(file).size * share))
  }
  const packed = (program: string) => (file: string) =>
    writeFileSync(file, execFileSync(program, ['-c', at('one.qcow2')]))
  return {
    'a raw disk': (file) => copyFileSync(at('disk.raw'), file),
    'a qcow2': qcow2,
    'half a qcow2': cut(qcow2, 0.5),
    'a VHD': image('vpc', ['-o', 'subformat=dynamic']),
    'a fixed VHD': image('vpc', ['-o', 'subformat=fixed']),
    'a VHDX': image('vhdx'),
    'a VMDK': stream,
    'an OVA': tar('ustar', ['a.ovf', 'a.vmdk']),
    'an OVA with PAX headers': tar('pax', ['a.ovf', 'a.vmdk']),
    'an OVA with an upper-case name': tar('gnu', ['a.ovf', 'b.VMDK']),
    'an OVA with two disks': tar('ustar', ['a.ovf', 'a.vmdk', 'b.VMDK']),
    'a tar without a disk': tar('gnu', ['a.ovf']),
    'half an OVA': cut(tar('ustar', ['a.ovf', 'a.vmdk']), 0.5),
    'a zip': zip(['one.qcow2']),
    'a zip with two members': zip(['one.qcow2', 'two.qcow2']),
    'half a zip': cut(zip(['one.qcow2']), 0.5),
    'a bz2': packed('bzip2'),
    'half a gz': cut(packed('gzip'), 0.5),
    'a gz of a text': (file) => writeFileSync(file, execFileSync('gzip', ['-c'], { input: 'hello\n' })),
  }
}

/** Endings of names, each of which says something about what is in a file. */
export const endings = [
  '.qcow2',
  '.raw',
  '.vhd',
  '.vmdk',
  '.ova',
  '.zip',
  '.bz2',
  '.QCOW2',
  '.v1',
  '',
] as const

/** Beginnings of names that a program could take for something else. */
export const beginnings = [
  'disk',
  'a b',
  '-o size=1',
  'json:{}',
  'nbd:x',
  'ü\u0301😀',
  "it's",
  'line\nbreak',
] as const

/** A way to name a file to the program. */
export interface Use {
  /** The verb and the option, or the verb alone for an argument. */
  readonly name: string
  readonly wordsFor: (file: string, out: string) => readonly string[]
}

const use = (name: string, wordsFor: Use['wordsFor']): Use => ({ name, wordsFor })
/** Faster to load than this project's own. */
const small = ['--pipeline', tinyPipeline]
const registry = '127.0.0.1:9/none/layers'

/** Each path option and argument of every verb that ends by itself. */
export const uses: readonly Use[] = [
  ...['--pipeline', '--config', '--payload'].map((option) =>
    use(`plan ${option}`, (file, out) => ['plan', option, file, '--out', out]),
  ),
  use('plan with an image', (file, out) => [
    ...['plan', ...small, '--out', out],
    ...['--set', `installer={image: ${JSON.stringify(file)}}`],
  ]),
  use('plan --out', (file) => ['plan', ...small, '--out', file]),
  use('render --out', (file) => ['render', ...small, '--out', file]),
  // Ends before it makes anything.
  use('build --out', (file) => ['build', ...small, '--out', file, '--until', 'none']),
  use('store ls --out', (file) => ['store', 'ls', ...small, '--out', file]),
  use('store verify --out', (file) => ['store', 'verify', ...small, '--out', file]),
  use('store push --sign', (file, out) => [
    'store',
    'push',
    registry,
    ...small,
    '--sign',
    file,
    '--out',
    out,
  ]),
  use('store pull --signers', (file, out) => [
    'store',
    'pull',
    registry,
    ...small,
    '--signers',
    file,
    '--out',
    out,
  ]),
  use('store pull --revoked', (file, out) => [
    ...['store', 'pull', registry, ...small, '--out', out],
    ...['--signers', '/dev/null', '--revoked', file],
  ]),
  use('lock update --out', (file) => ['lock', 'update', ...small, '--out', file]),
  use('shell --out', (file) => ['shell', 'base', ...small, '--out', file]),
  use('clean --out', (file) => ['clean', '--dry-run', '--out', file]),
  use('summary --out', (file) => ['summary', ...small, '--out', file]),
  use('summary --since', (file, out) => ['summary', ...small, '--since', file, '--out', out]),
  use('release --from', (file, out) => ['release', ...small, '--from', file, '--out', out]),
  use('release --since', (file, out) => ['release', ...small, '--since', file, '--out', out]),
  use('release --sign', (file, out) => ['release', ...small, '--sign', file, '--out', out]),
  use('release verify', (file) => ['release', 'verify', file]),
  ...['--signers', '--keyring'].map((option) =>
    use(`release verify ${option}`, (file) => ['release', 'verify', '/nowhere', option, file]),
  ),
  use('matrix --config', (file) => ['matrix', ...small, '--config', file]),
]

/** The verbs that read a disk. */
export const diskUses: readonly Use[] = [
  use('export', (file, out) => ['export', '--targets', 'raw', '--out', out, `--from=${file}`]),
  use('verify', (file, out) => [
    ...['verify', '--pipeline', tinyPipeline, '--target', 'kvm', '--scenes', 'none', '--accelerator', 'tcg'],
    ...['--out', out, '--', file],
  ]),
  use('run', (file, out) => ['run', '--accelerator', 'tcg', '--out', out, '--', file]),
  use('diff', (file, out) => ['diff', '--out', out, '--', file, file]),
]

export interface Outcome {
  readonly exitCode: number
  readonly said: string
  readonly seconds: number
}

/** Ten times what the slowest takes on a quiet host: only what never ends takes longer. */
const limitMs = 60_000

/** Runs the program here, which costs no second of starting it. */
export async function feed(...words: readonly string[]): Promise<Outcome> {
  let said = ''
  const spies = (['stdout', 'stderr'] as const).map((to) =>
    vi.spyOn(process[to], 'write').mockImplementation((chunk) => {
      said += chunk.toString()
      return true
    }),
  )
  const started = performance.now()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within 60 s: ${words.join(' ')}`)), limitMs)
  })
  try {
    const exitCode = await Promise.race([main(words), late])
    return { exitCode, said, seconds: (performance.now() - started) / 1000 }
  } finally {
    clearTimeout(timer)
    for (const spy of spies) spy.mockRestore()
  }
}

/** The rules that an outcome breaks; none if it is fine. */
export function faultsOf({ exitCode, said }: Outcome, secret: string): readonly string[] {
  return [
    ...([0, 1, 2, 3, 4].includes(exitCode) ? [] : [`it ended with ${exitCode}`]),
    ...(/this is a bug|^ {4}at /m.test(said) ? ['it calls itself a bug'] : []),
    ...(said.includes(secret) ? ['it shows a secret'] : []),
    ...(exitCode !== 0 && said.trim() === '' ? ['it fails without a word'] : []),
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
    ...(/[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u202e]/.test(said)
      ? ['it lets control characters through']
      : []),
  ]
}

/** The names below a folder. */
export const listing = (folder: string): readonly string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : []

/** All that was written below a folder, but for disks. */
export function textOf(folder: string): string {
  return listing(folder)
    .map((name) => join(folder, name))
    .map((file) => (isSmallFile(file) ? readFileSync(file, 'latin1') : ''))
    .join('\n')
}

function isSmallFile(path: string): boolean {
  const found = lstatSync(path)
  return found.isFile() && found.size < 2 ** 20
}
