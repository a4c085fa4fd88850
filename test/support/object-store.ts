/** A real object store on a loopback address: Versity's gateway, which keeps objects as files. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openBucket } from '../../src/publish/s3/client.ts'
import type { BucketSettings } from '../../src/publish/s3/settings.ts'
import { findPort } from './registry.ts'

export interface TestObjectStore {
  /** Settings for a bucket that is empty at first. */
  readonly settings: BucketSettings
  /** Objects by key, as the store has them. */
  readonly objects: () => ReadonlyMap<string, Buffer>
  readonly stop: () => Promise<void>
}

const never = new AbortController().signal

/** Starts one. @param folder that it may write to */
export async function startObjectStore(folder: string): Promise<TestObjectStore> {
  const port = await findPort()
  const [root, sidecar] = [join(folder, 'objects'), join(folder, 'metadata')]
  for (const each of [root, sidecar]) mkdirSync(each, { recursive: true })
  const credentials = { accessKeyId: 'test-key', secretAccessKey: 'planted/secret+key' }
  const words = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', '--sidecar', sidecar, root]
  const child = spawn('versitygw', words, {
    stdio: 'ignore',
    env: {
      ...process.env,
      ROOT_ACCESS_KEY_ID: credentials.accessKeyId,
      ROOT_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
  })
  const endpoint = new URL(`http://127.0.0.1:${port}`)
  for (let tries = 0; tries < 200 && !(await answers(endpoint)); tries += 1) await sleep(50)
  const settings: BucketSettings = {
    bucket: 'mirror',
    prefix: 'systemvm/',
    endpoint,
    region: 'us-east-1',
    credentials,
  }
  await openBucket(settings)({ method: 'PUT', key: '', signal: never })
  const bucket = join(root, settings.bucket)
  return {
    settings,
    objects: () =>
      new Map(
        filesBelow(bucket)
          .filter((name) => !name.startsWith('.'))
          .map((name) => [name, readFileSync(join(bucket, name))]),
      ),
    stop: async () => {
      if (child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}

function filesBelow(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? filesBelow(join(folder, entry.name)).map((name) => `${entry.name}/${name}`)
      : [entry.name],
  )
}

async function answers(endpoint: URL): Promise<boolean> {
  return fetch(endpoint).then(
    () => true,
    () => false,
  )
}
