/** A real registry on a loopback address. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface TestRegistry {
  /** `127.0.0.1:<port>` */
  readonly host: string
  /** Where it keeps blobs. */
  readonly folder: string
  readonly stop: () => Promise<void>
}

/** A port that was free a moment ago. */
export async function findPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts Debian's docker-registry. @param isClosed whether it requires a login */
export async function startRegistry(folder: string, isClosed = false): Promise<TestRegistry> {
  const host = `127.0.0.1:${await findPort()}`
  mkdirSync(folder, { recursive: true })
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: folder } },
    http: { addr: host },
    ...(isClosed ? { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } } : {}),
  }
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(config))
  // With the C library's crypt, which knows the only algorithm that the registry accepts.
  const hash = execFileSync('perl', ['-e', 'print crypt("password", q($2y$05$abcdefghijklmnopqrstuu))'])
  writeFileSync(join(folder, 'htpasswd'), `someone:${hash.toString()}\n`)
  const child: ChildProcess = spawn('docker-registry', ['serve', join(folder, 'config.yml')], {
    stdio: 'ignore',
  })
  for (let tries = 0; tries < 100 && !(await answers(host)); tries += 1) await sleep(50)
  return {
    host,
    folder,
    stop: async () => {
      if (child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}

async function answers(host: string): Promise<boolean> {
  return fetch(`http://${host}/v2/`).then(
    () => true,
    () => false,
  )
}
