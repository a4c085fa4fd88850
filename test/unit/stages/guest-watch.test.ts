import { once } from 'node:events'
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type GuestEvent, type GuestWatch, nextGuest, watchGuest } from '../../../src/stages/guest-watch.ts'
import { useFolder } from '../../support/folder.ts'
import { happen, the } from '../../support/toy-run.ts'

const path = useFolder()
let server: Server | undefined
let watch: GuestWatch | undefined

afterEach(async () => {
  vi.useRealTimers()
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
        if (socket.writable) socket.write(`${JSON.stringify({ return: {} })}\n`)
        resolve(socket)
      })
    }).listen(path('qmp'))
  })
  const events: GuestEvent[] = []
  watch = watchGuest({
    serialLog: path('serial.log'),
    outputLogs: [path('packer.log')],
    qmpSocket: path('qmp'),
    storeFolder: '/out/store',
    bootTimeoutSeconds: 60,
    onEvent: (event) => events.push(event),
  })
  const socket = await connected
  await expect.poll(() => watch?.qmp()).toBeDefined()
  const failures = () => events.flatMap((event) => (event.kind === 'guest-failed' ? [event.error] : []))
  const say = (event: string, data: object) => socket.write(`${JSON.stringify({ event, data })}\n`)
  const end = async () => {
    socket.end()
    await once(socket, 'close')
    await watch?.lastWords()
    await watch?.close()
  }
  return { events, failures, say, end, drop: () => socket.destroy() }
}

const lastStage = [the.started, the.began('three'), the.ended('three')]

it('another boot of a run is not told of the panic before it', async () => {
  mkdirSync(path(), { recursive: true })
  writeFileSync(
    path('serial.log'),
    '[    3.020737] Kernel panic - not syncing: Fatal exception in interrupt\n',
  )
  const events: GuestEvent[] = []
  watch = await nextGuest({
    serialLog: path('serial.log'),
    outputLogs: [path('packer.log')],
    qmpSocket: path('qmp'),
    storeFolder: '/out/store',
    bootTimeoutSeconds: 60,
    onEvent: (event) => events.push(event),
  }).run()
  expect(existsSync(path('serial.log'))).toBe(false)
  writeFileSync(path('serial.log'), 'systemvm-build: ready\n')
  await expect.poll(() => events.length).toBeGreaterThan(0)
  expect(events).toEqual([{ kind: 'guest-ready' }])
})

it('a guest that prints endlessly in a stage is ended before it fills the disk', async () => {
  const { failures } = await watched()
  writeFileSync(path('packer.log'), '')
  truncateSync(path('packer.log'), 65 * 2 ** 20)
  await expect.poll(failures).toHaveLength(1)
  expect(failures()[0]).toMatchObject({
    code: 'guest-floods',
    message: 'the guest was stopped: it printed more than 64 MiB (packer.log)',
  })
})

describe('a guest that shuts down', () => {
  it('has written all it had to when it has powered itself off', async () => {
    const { events, failures, say, end } = await watched()
    say('SHUTDOWN', { guest: true, reason: 'guest-shutdown' })
    await end()
    expect(happen({}, ...lastStage, ...events, the.packer(0)).failure).toBeUndefined()
    expect(happen({}, ...lastStage, ...events, the.packer(1)).failure?.code).toBe('packer-died')
    expect(failures()).toEqual([])
  })

  it.each([
    ['was killed before', undefined],
    ['was asked to end by the host', { guest: false, reason: 'host-signal' }],
  ])('has lost something when its QEMU %s', async (_case, data) => {
    const { events, say, end } = await watched()
    if (data !== undefined) say('SHUTDOWN', data)
    await end()
    const { failure } = happen({}, ...lastStage, ...events, the.packer(0))
    expect(failure).toMatchObject({ code: 'guest-vanished' })
    expect(failure?.message).toContain('QEMU ended while the guest was shutting down')
  })

  it('that powered itself off during a stage has not ended well', async () => {
    const { events, say, end } = await watched()
    say('SHUTDOWN', { guest: true, reason: 'guest-shutdown' })
    await end()
    const during = [the.started, the.began('two'), ...events]
    expect(happen({}, ...during, the.packer(1)).failure?.message).toContain('during stage two')
    expect(happen({}, ...during, the.packer(0)).failure).toBeDefined()
  })
})

describe('a QEMU that ends', () => {
  it('is noticed after the signs that the console still has of why', async () => {
    const { events, drop } = await watched()
    drop()
    writeFileSync(path('serial.log'), 'Kernel panic - not syncing: toy\n')
    await expect.poll(() => events).toHaveLength(2)
    expect(events.map(({ kind }) => kind)).toEqual(['guest-failed', 'qemu-ended'])
    expect(events[1]).toMatchObject({ console: { lines: ['Kernel panic - not syncing: toy'] } })
  })

  it('is not noticed by a watch that is closed', async () => {
    const { events, drop } = await watched()
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    drop()
    await expect.poll(() => vi.getTimerCount()).toBe(1)
    await watch?.close()
    vi.runAllTimers()
    expect(events).toEqual([])
  })
})

describe('a disk that the guest cannot write to', () => {
  it.each([
    [true, 'disk-full', 'the disk that holds /out/store is full'],
    [false, 'disk-error', "the guest's disk in /out/store could not be read or written"],
  ])('for want of space: %s', async (nospace, code, message) => {
    const { failures, say } = await watched()
    say('BLOCK_IO_ERROR', { nospace })
    await expect.poll(failures).toHaveLength(1)
    expect(failures()[0]).toMatchObject({ code, message })
  })
})
