/** A real object store, where the host has it: what is published there, what an interruption leaves, and what readers see. */

import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { sha256 } from '../../src/digest.ts'
import { planPublishing, publish } from '../../src/publish/publish.ts'
import { lastFiles, readReleaseFiles } from '../../src/publish/release-files.ts'
import { openBucket } from '../../src/publish/s3/client.ts'
import { bucketDestination } from '../../src/publish/s3/destination.ts'
import { useFolder } from '../support/folder.ts'
import { startObjectStore, type TestObjectStore } from '../support/object-store.ts'
import { runHere } from '../support/output.ts'
import { bytesOf, faultsOf, writeRelease } from '../support/release-to-publish.ts'
import { describeJudge, hasProgram } from './judges.ts'

const path = useFolder()
const never = new AbortController().signal
const mebibyte = 1024 ** 2
const image = 'systemvmtemplate-4.22.0-bookworm-kvm.qcow2'

describeJudge('an object store', { versitygw: hasProgram('versitygw') }, () => {
  let store: TestObjectStore

  beforeEach(async () => {
    store = await startObjectStore(path('store'))
  })
  afterEach(() => store.stop())

  const published = () =>
    new Map([...store.objects()].map(([key, bytes]) => [key.replace('systemvm/4.22/', ''), bytes]))

  /** Publishes a folder, and calls `onStep` after everything that readers can see. */
  const bring = async (
    folder: string,
    onStep: (name: string, sentBytes: number) => void = () => undefined,
    signal = never,
  ) => {
    const { files, series } = await readReleaseFiles(folder, () => undefined, never)
    const destination = bucketDestination(store.settings, series)
    const plan = await planPublishing(files, destination, true, never)
    let sent = 0
    await publish(
      plan,
      files,
      destination,
      {
        onStep: ({ name, sentBytes }) => {
          sent = sentBytes
          onStep(name, sentBytes)
        },
        onDone: (name) => onStep(name, sent),
      },
      signal,
    )
    return plan
  }

  const withLargeImage = async (folder: string, end = 'end') => {
    const bytes = Buffer.concat([bytesOf('start', 35 * mebibyte), bytesOf(end, 5 * mebibyte)])
    await writeRelease(folder, { images: { [image]: bytes }, signature: 'signed' })
    return bytes
  }

  it('gets every file of the release as it is, and nothing twice', async () => {
    const bytes = await withLargeImage(path('release'))
    await bring(path('release'))
    expect(sha256(published().get(image) ?? '')).toBe(sha256(bytes))
    for (const [name, found] of published())
      expect(found.equals(readFileSync(path('release', name))), name).toBe(true)
    const again = await bring(path('release'))
    expect(again.files.every(({ fate }) => fate === 'keep')).toBe(true)
    expect(again.sentBytes).toBe(0)
  })

  it('never shows a reader half of a release, also while another one takes its place', async () => {
    await withLargeImage(path('one'))
    await withLargeImage(path('two'), 'another end')
    const seen: string[] = []
    for (const name of ['one', 'two'])
      await bring(path(name), () => {
        seen.push(...faultsOf(published()))
      })
    expect(seen).toEqual([])
    expect(
      published()
        .get(image)
        ?.equals(readFileSync(path('two', image))),
    ).toBe(true)
    expect([...published().keys()]).toEqual(expect.arrayContaining(lastFiles.slice(0, 5)))
  })

  it('goes on with an upload that was interrupted', async () => {
    await withLargeImage(path('release'))
    const stopping = new AbortController()
    const stop = (name: string, sentBytes: number) => {
      if (name === image && sentBytes >= 16 * mebibyte) stopping.abort(new Error('stopped'))
    }
    await expect(bring(path('release'), stop, stopping.signal)).rejects.toThrow('stopped')
    expect(published().has(image)).toBe(false)
    const sent = new Map<string, number>()
    await bring(path('release'), (name, sentBytes) => sent.set(name, sentBytes))
    expect(sent.get(image)).toBeLessThanOrEqual(24 * mebibyte)
    expect(
      published()
        .get(image)
        ?.equals(readFileSync(path('release', image))),
    ).toBe(true)
  })

  it('does not take an upload of another file with the same beginning for this one', async () => {
    await withLargeImage(path('one'))
    const stopping = new AbortController()
    const stop = (name: string, sentBytes: number) => {
      if (name === image && sentBytes >= 16 * mebibyte) stopping.abort(new Error('stopped'))
    }
    await expect(bring(path('one'), stop, stopping.signal)).rejects.toThrow('stopped')
    await withLargeImage(path('two'), 'another end')
    await bring(path('two'))
    expect(
      published()
        .get(image)
        ?.equals(readFileSync(path('two', image))),
    ).toBe(true)
    expect((await bring(path('two'))).sentBytes).toBe(0)
    expect((await bring(path('one'))).sentBytes).toBeGreaterThan(0)
  })

  it('removes what the release before had, and this one has not', async () => {
    await writeRelease(path('one'), {
      images: { [image]: bytesOf('one', 100), 'old.qcow2': bytesOf('old', 9) },
    })
    await writeRelease(path('two'), { images: { [image]: bytesOf('two', 100) } })
    await bring(path('one'))
    await bring(path('two'))
    expect([...published().keys()]).not.toContain('old.qcow2')
    expect(faultsOf(published())).toEqual([])
  })

  it('is used by the program, with credentials of the environment, which it never shows', async () => {
    await writeRelease(path('release'))
    const { credentials, endpoint } = store.settings
    const words = ['publish', path('release'), '--to', 's3://mirror/systemvm', '--endpoint', endpoint.href]
    const withKeys = async (secret: string, ...more: string[]) => {
      process.env.AWS_ACCESS_KEY_ID = credentials.accessKeyId
      process.env.AWS_SECRET_ACCESS_KEY = secret
      try {
        return await runHere(...words, ...more)
      } finally {
        delete process.env.AWS_ACCESS_KEY_ID
        delete process.env.AWS_SECRET_ACCESS_KEY
      }
    }
    const dry = await withKeys(credentials.secretAccessKey, '--dry-run')
    expect(dry.exitCode, dry.stderr).toBe(0)
    expect(published().size).toBe(0)
    const done = await withKeys(credentials.secretAccessKey)
    expect(done.exitCode, done.stderr).toBe(0)
    expect(published().size).toBe(8)
    const refused = await withKeys('planted-and-wrong')
    expect(refused.exitCode).toBe(3)
    for (const { stdout, stderr } of [dry, done, refused])
      expect(`${stdout}${stderr}`).not.toMatch(/planted|AWS4-HMAC/)
  })

  it('says in its own words what it refuses', async () => {
    const bucket = openBucket({ ...store.settings, bucket: 'missing' })
    await expect(bucket({ method: 'GET', key: 'x', signal: never })).rejects.toThrow(
      /refuses GET of missing\/x: NoSuchBucket: The specified bucket does not exist/,
    )
  })
})
