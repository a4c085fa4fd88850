import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { signWithSsh } from '../../../src/host/ssh-signature.ts'
import { countRebuilds } from '../../../src/release/count-rebuilds.ts'
import { compareRebuild, rebuildNamespace, renderRebuild } from '../../../src/release/rebuild.ts'
import { useFolder } from '../../support/folder.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const record = makeSampleRelease(3)

/** A statement about the variants of the sample, with other bytes in the files of some targets. */
function statement(other: readonly string[] = [], variants = record.variants): string {
  const rebuilt = variants.map((variant) =>
    compareRebuild(variant, {
      run: { startedAt: '2026-11-23T00:00:00.000Z', finishedAt: '2026-11-23T00:05:00.000Z' },
      host: { tools: { packer: '1.6.6' } },
      images: variant.files.map(({ target, sha256 }) => ({
        target,
        sha256: other.includes(target) ? 'f'.repeat(64) : sha256,
      })),
      packages: [],
    }),
  )
  return renderRebuild(record, rebuilt, '1.2.3')
}

async function publish(
  name: string,
  text: string,
  key?: string,
  namespace = rebuildNamespace,
): Promise<void> {
  writeFileSync(path(`rebuilds/${name}.intoto.json`), text)
  if (key === undefined) return
  writeFileSync(path(`rebuilds/${name}.intoto.json.sig`), await signWithSsh(text, namespace, path(key)))
}

const steps: string[] = []

const count = (signal = new AbortController().signal) =>
  countRebuilds({
    record,
    trust: { folder: path('rebuilds'), rebuilders: path('rebuilders') },
    onStep: (text) => steps.push(text),
    signal,
  })

/** From now on notes every call of ssh-keygen. Returns how many there were. */
function noteCalls(andThen = 'exec "$real" "$@"'): () => number {
  const real = execFileSync('sh', ['-c', 'command -v ssh-keygen'], { encoding: 'utf8' }).trim()
  mkdirSync(path('bin'))
  const script = `#!/bin/sh\nreal=${real}\necho call >> ${path('calls')}\n${andThen}\n`
  writeFileSync(path('bin/ssh-keygen'), script, { mode: 0o755 })
  writeFileSync(path('calls'), '')
  vi.stubEnv('PATH', `${path('bin')}:${process.env.PATH}`)
  return () => readFileSync(path('calls'), 'utf8').split('\n').length - 1
}

describeWith(['ssh-keygen'], 'those who built a release again', () => {
  afterEach(() => vi.unstubAllEnvs())

  beforeEach(() => {
    steps.length = 0
    mkdirSync(path('rebuilds'))
    const publicKeys = ['alice', 'bob', 'stranger'].map((name) => {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path(name)])
      return readFileSync(path(`${name}.pub`), 'utf8')
    })
    writeFileSync(path('rebuilders'), `alice@example.org ${publicKeys[0]}bob@example.org ${publicKeys[1]}`)
  })

  it('count once each, by their keys', async () => {
    await publish('one', statement(), 'alice')
    await publish('two', statement(), 'alice')
    await publish('three', statement(), 'bob')
    const { rebuiltBy, faults } = await count()
    expect(faults).toEqual([])
    expect(rebuiltBy).toEqual([
      expect.stringMatching(/^alice@example\.org \(SSH key SHA256:/),
      expect.stringMatching(/^bob@example\.org \(SSH key SHA256:/),
    ])
  })

  it.each([
    ['unsigned', () => publish('x', statement()), 'it has no signature beside it'],
    ['by a stranger', () => publish('x', statement(), 'stranger'), 'no key in '],
    ['signed for something else', () => publish('x', statement(), 'alice', 'git'), 'it is not valid'],
    ['of a file that differs', () => publish('x', statement(['kvm']), 'alice'), '-kvm.qcow2 differs'],
    ['of a part', () => publish('x', statement([], record.variants.slice(0, 1)), 'alice'), 'was not rebuilt'],
    ['of another kind', () => publish('x', '{"_type":"x"}', 'alice'), 'it is not a statement of a rebuild'],
  ])('do not count where a statement is %s', async (_case, put, fault) => {
    await put()
    const { rebuiltBy, faults } = await count()
    expect(rebuiltBy).toEqual([])
    expect(faults).toEqual([{ file: 'x.intoto.json', fault: expect.stringContaining(fault) }])
  })

  it('do not count where a statement is no file, or too large, or there is no folder', async () => {
    await publish('x', statement(), 'alice')
    rmSync(path('rebuilds/x.intoto.json'))
    execFileSync('mkfifo', [path('rebuilds/x.intoto.json')])
    await publish('y', statement(), 'alice')
    writeFileSync(path('rebuilds/y.intoto.json'), ' '.repeat(2 ** 20 + 1))
    expect(await count()).toEqual({
      rebuiltBy: [],
      faults: [
        { file: 'x.intoto.json', fault: expect.stringContaining('not a file') },
        { file: 'y.intoto.json', fault: expect.stringContaining('more than') },
      ],
    })
    rmSync(path('rebuilds'), { recursive: true })
    expect((await count()).faults).toEqual([{ file: path('rebuilds'), fault: 'it does not exist (ENOENT)' }])
  })

  it('do not count where there are more statements than anyone would wait for', async () => {
    await publish('good', statement(), 'alice')
    for (let index = 0; index < 1000; index += 1) await publish(`x${index}`, '')
    const fault = 'it has 1001 statements, but at most 1000 are checked'
    expect(await count()).toEqual({ rebuiltBy: [], faults: [{ file: path('rebuilds'), fault }] })
  })

  it('are found without a process for what is no statement about all of this release', async () => {
    await publish('junk', '{"_type":"x"}', 'alice')
    await publish('part', statement([], record.variants.slice(0, 1)), 'alice')
    const [file] = record.variants[0]?.files ?? []
    await publish('another', statement().replaceAll(file?.sha256 ?? '', 'a'.repeat(64)), 'alice')
    const calls = noteCalls()
    expect((await count()).faults).toHaveLength(3)
    expect(calls()).toBe(0)
  })

  it('are asked about copies of a statement once', async () => {
    await publish('x0', statement(), 'alice')
    for (let index = 1; index < 250; index += 1)
      for (const end of ['', '.sig'])
        copyFileSync(path(`rebuilds/x0.intoto.json${end}`), path(`rebuilds/x${index}.intoto.json${end}`))
    const calls = noteCalls()
    expect((await count()).rebuiltBy).toHaveLength(1)
    expect(calls()).toBe(2)
    expect(steps).toEqual([0, 100, 200].map((done) => `${done} of 250 statements of rebuilds`))
  })

  it('are named where they say that a file differs, and a stranger is not', async () => {
    await publish('x', statement(['kvm']), 'alice')
    await publish('y', statement(['raw']), 'stranger')
    expect((await count()).faults).toEqual([
      { file: 'x.intoto.json', fault: expect.stringMatching(/^alice@example\.org .*-kvm\.qcow2 differs$/) },
      { file: 'y.intoto.json', fault: expect.stringContaining('no key in ') },
    ])
  })

  it('are no longer looked for once that is interrupted', async () => {
    for (let index = 0; index < 20; index += 1)
      await publish(`x${index}`, statement().replace('1.6.6', `1.6.${index}`), 'alice')
    const calls = noteCalls('exec sleep 600')
    const stopping = new AbortController()
    const counting = count(stopping.signal)
    await expect.poll(calls).toBeGreaterThan(0)
    stopping.abort(new Error('interrupted'))
    await expect(counting).rejects.toThrow('interrupted')
    expect(calls()).toBeLessThan(20)
  })

  it('do not count where a statement was changed after it was signed, or is of another release', async () => {
    await publish('x', statement(), 'alice')
    writeFileSync(
      path('rebuilds/x.intoto.json'),
      statement(['kvm']).replaceAll('f'.repeat(64), '0'.repeat(64)),
    )
    expect((await count()).faults).toEqual([
      { file: 'x.intoto.json', fault: expect.stringContaining('not valid') },
    ])
    rmSync(path('rebuilds/x.intoto.json.sig'))
    const [file] = record.variants[0]?.files ?? []
    await publish('x', statement().replaceAll(file?.sha256 ?? '', 'a'.repeat(64)), 'alice')
    expect((await count()).faults).toEqual([
      { file: 'x.intoto.json', fault: expect.stringContaining('another') },
    ])
  })
})
