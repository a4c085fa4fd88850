import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import type { PipelineError } from '../../src/errors.ts'
import { type GuestWatch, watchGuest } from '../../src/stages/guest-watch.ts'
import { useFolder } from '../support/folder.ts'

const path = useFolder()
let server: Server | undefined
let watch: GuestWatch | undefined

afterEach(async () => {
  server?.close()
  await watch?.close()
})

/** A watched guest whose QEMU says what a test has it say. */
async function watched() {
  mkdirSync(path(), { recursive: true })
  writeFileSync(path('serial.log'), '')
  const connected = new Promise<Socket>((resolve) => {
    server = createServer((socket) => {
      socket.write(`${JSON.stringify({ QMP: {} })}\n`)
      createInterface({ input: socket }).on('line', () => {
        socket.write(`${JSON.stringify({ return: {} })}\n`)
        resolve(socket)
      })
    }).listen(path('qmp'))
  })
  const failures: PipelineError[] = []
  watch = watchGuest({
    serialLog: path('serial.log'),
    qmpSocket: path('qmp'),
    storeFolder: '/out/store',
    bootTimeoutSeconds: 60,
    onFailure: (error) => failures.push(error),
  })
  const socket = await connected
  await expect.poll(() => watch?.qmp()).toBeDefined()
  const say = (event: string, data: object) => socket.write(`${JSON.stringify({ event, data })}\n`)
  const end = async () => {
    socket.end()
    await once(socket, 'close')
    // The last words of the console are waited for.
    await watch?.close()
  }
  return { watch, failures, say, end }
}

describe('a guest that shuts down', () => {
  it('has written all it had to when it has powered itself off', async () => {
    const { watch, failures, say, end } = await watched()
    watch.running('last', true)
    say('SHUTDOWN', { guest: true, reason: 'guest-shutdown' })
    await end()
    expect(watch.explainLoss()).toBeUndefined()
    expect(watch.explainEnd()).toBeUndefined()
    expect(failures).toEqual([])
  })

  it.each([
    ['was killed before', undefined],
    ['was asked to end by the host', { guest: false, reason: 'host-signal' }],
  ])('has lost something when its QEMU %s', async (_case, data) => {
    const { watch, say, end } = await watched()
    watch.running('last', true)
    if (data !== undefined) say('SHUTDOWN', data)
    await end()
    expect(watch.explainLoss()).toMatchObject({ code: 'guest-vanished' })
    expect(watch.explainLoss()?.message).toContain('QEMU ended while the guest was shutting down')
  })

  it('that powered itself off during a stage has not ended well', async () => {
    const { watch, say, end } = await watched()
    watch.running('second')
    say('SHUTDOWN', { guest: true, reason: 'guest-shutdown' })
    await end()
    expect(watch.explainEnd()?.message).toContain('during stage second')
    expect(watch.explainLoss()).toBeDefined()
  })
})

describe('a disk that the guest cannot write to', () => {
  it.each([
    [true, 'disk-full', 'the disk that holds /out/store is full'],
    [false, 'disk-error', "the guest's disk in /out/store could not be read or written"],
  ])('for want of space: %s', async (nospace, code, message) => {
    const { failures, say } = await watched()
    say('BLOCK_IO_ERROR', { nospace })
    await expect.poll(() => failures).toHaveLength(1)
    expect(failures[0]).toMatchObject({ code, message })
  })
})
