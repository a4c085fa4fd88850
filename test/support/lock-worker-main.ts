/**
 * `lock-worker-main.ts FOLDER TIMES hold|die [beatMs silentMs]`: waits for the lock of a folder, and keeps it until it is
 * lost; or takes it TIMES times, and dies with it. A file shows whether another process also has the lock.
 */

import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { takeLock } from '../../src/host/lock.ts'

const [folder = '', times = '1', what, beatMs = '2000', silentMs = '30000'] = process.argv.slice(2)
const witness = join(folder, 'witness')

/** What a process writes into the file before it dies: its pid may stay in use for a while, but its lock does not. */
const dying = 'dying'

/** Fails if the process that made the file is still alive. */
function enter(): void {
  for (;;) {
    try {
      const file = openSync(witness, 'wx')
      writeSync(file, `${process.pid}`)
      return closeSync(file)
    } catch {
      const other = readFileSync(witness, 'utf8')
      if (other !== dying && isAlive(Number(other)))
        return void process.stdout.write(`two holders: ${other} too\n`)
      rmSync(witness, { force: true })
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const take = () =>
  takeLock(
    folder,
    `worker-${process.pid}`,
    { onWait: () => undefined, signal: AbortSignal.timeout(90_000) },
    'build',
    { beatMs: Number(beatMs), silentMs: Number(silentMs) },
  )

for (let count = 1; what === 'die'; count += 1) {
  const lock = await take()
  enter()
  process.stdout.write('held\n')
  await sleep(2)
  if (count === Number(times)) {
    writeFileSync(witness, dying)
    process.kill(process.pid, 'SIGKILL')
  }
  rmSync(witness, { force: true })
  await lock.release()
}

const lock = await take()
process.stdout.write('held\n')
lock.lost.addEventListener('abort', () => {
  process.stdout.write(`${(lock.lost.reason as Error).message}\n`)
  process.exit(3)
})
await sleep(60_000)
