/** What opens files without `src/host/regular-file.ts`, which waits for no pipe and reads no device. */

import { describe, expect, it } from 'vitest'
import { files, read } from '../support/imports.ts'

/** None of these files is named by a person, or in a folder of others. */
const plain: Readonly<Record<string, string>> = {
  'src/cli/init.ts': 'the program’s own example',
  'src/compile/pack.js': 'the program’s own code, and that of its packages',
  'src/compile/program.js': 'the program’s own code, before it is compiled',
  'src/compile/sources.js': 'modules, as Node.js is about to run them',
  'src/compile/traces.js': 'modules that Node.js has run, and their maps',
  'src/config/suite-settings.ts': 'the program’s own tables',
  'src/disk/image-bytes.ts': 'what was just extracted',
  'src/doctor/checks/host.ts': 'the kernel’s files, and lists of /etc',
  'src/export/hash-worker.js': 'JavaScript for a thread, with the same flags',
  'src/host/files.ts': 'folders, to flush them',
  'src/host/foreign.ts': 'the kernel’s files',
  'src/host/kernel-lock.ts': 'a lock, opened to be written',
  'src/host/lock-holder.ts': 'the kernel’s files',
  'src/host/process.ts': 'the kernel’s files',
  'src/host/regular-file.ts': 'the reader itself',
  'src/host/resumable-download.ts': 'a download, opened to be written',
  'src/installers/bootstrap/bootstrap.ts': 'what a hook left, which is looked at before',
  'src/installers/bootstrap/installer.ts': 'the program’s own scripts',
  'src/installers/debian-installer/extra-answers.ts': 'the program’s own tables',
  'src/pages/render.ts': 'the program’s own templates',
  'src/publish/folder.ts': 'a copy, opened to be written',
  'src/qemu/accelerator.ts': 'the kernel’s files',
  'src/qemu/console.ts': 'a log that QEMU is writing',
  'src/qemu/guest-clock.ts': 'the kernel’s files',
  'src/qemu/guest-load.ts': 'the kernel’s files',
  'src/qemu/ssh.ts': 'a key that was just made',
  'src/release/sign.ts': 'a list that was just written',
  'src/repack/extract.ts': 'files that it makes, opened to be written',
  'src/repack/fat.ts': 'a filesystem that was just copied',
  'src/repack/repack.ts': 'the disk that it makes, and what was just extracted',
  'src/stages/agent.ts': 'the program’s own files, and keys and an initrd in a folder made for them',
  'src/stages/state-key.ts': 'the kernel’s files',
  'src/template.ts': 'the program’s own templates',
  'src/version.ts': 'the program’s own package.json',
}

/** Whether a source file opens paths to read them. */
function readsPlainly(text: string): boolean {
  const opens =
    /import \{[^}]*\bopen\b[^}]*\} from 'node:fs/.test(text) && /\bopen\([^()']*(?:, 'r')?\)/.test(text)
  return opens || /(?<!\.)\b(?:readFile|readFileSync|createReadStream|openSync)\(/.test(text)
}

describe('files that a person or a foreign folder names', () => {
  it('are read by the one reader alone', () => {
    const found = files.filter((path) => readsPlainly(read(path)))
    expect(found.sort()).toEqual(Object.keys(plain).sort())
  })

  it('are recognized where they are not', () => {
    const opening = "import { open } from 'node:fs/promises'\n"
    expect(readsPlainly(`${opening}await open(path, 'r')`)).toBe(true)
    expect(readsPlainly(`${opening}await open(path)`)).toBe(true)
    expect(readsPlainly(`${opening}await open(path, 'wx')`)).toBe(false)
    expect(readsPlainly("await readFile(path, 'utf8')")).toBe(true)
    expect(readsPlainly('await file.readFile()')).toBe(false)
  })
})

describe('reading that may take long', () => {
  /** Of the program's own files, and of one package, which is kept even while the proxy closes. */
  const short = [
    'src/installers/debian-installer/package-cache.ts',
    'src/provenance/gather.ts',
    'src/verify/verdicts.ts',
  ]

  it('ends with a signal', () => {
    const deaf = files.flatMap((path) =>
      [
        ...read(path).matchAll(
          /(?<!function )\b(?:hashFile|sha256File|listTree)\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)/g,
        ),
      ]
        .filter(([, words = '']) => !/\bsignal\b/.test(words))
        .map(() => path),
    )
    expect([...new Set(deaf)].sort()).toEqual(short)
  })
})
