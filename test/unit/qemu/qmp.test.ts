import { once } from 'node:events'
import { createServer, type Server, Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connectQmp } from '../../../src/qemu/qmp.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const greeting = { QMP: { version: { qemu: { major: 7 } }, capabilities: [] } }

let server: Server | undefined
let socket: Socket | undefined
let giveUp: AbortController

beforeEach(() => {
  giveUp = new AbortController()
})

afterEach(() => {
  vi.restoreAllMocks()
  giveUp.abort()
  socket?.destroy()
  server?.close()
  server = undefined
  socket = undefined
})

interface Command {
  readonly execute: string
  readonly arguments: Record<string, unknown>
}

/** A QEMU that greets, takes capabilities, and leaves every other command to `answer`. */
async function fakeQemu(answer: (command: Command, say: (value: object) => void) => void): Promise<void> {
  server = createServer((connection) => {
    socket = connection
    const say = (value: object) => void connection.write(`${JSON.stringify(value)}\r\n`)
    say(greeting)
    createInterface({ input: connection }).on('line', (line) => {
      const command = JSON.parse(line) as Command
      if (command.execute === 'qmp_capabilities') say({ return: {} })
      else answer(command, say)
    })
  }).listen(path('qmp'))
  await once(server, 'listening')
}

const connect = () => connectQmp(path('qmp'), giveUp.signal)

describe('a command to QEMU', () => {
  it('gets its answer, with its arguments as they were given', async () => {
    await fakeQemu((command, say) => say({ return: command }))
    const qmp = await connect()
    const answer = await qmp.execute('blockdev-snapshot-sync', { device: 'disk0', 'snapshot-file': '/a b' })
    expect(answer).toEqual({
      execute: 'blockdev-snapshot-sync',
      arguments: { device: 'disk0', 'snapshot-file': '/a b' },
    })
  })

  it('gets its own answer among others and among events', async () => {
    await fakeQemu(({ execute }, say) => {
      say({ event: 'RTC_CHANGE', data: { offset: 1 }, timestamp: {} })
      say({ return: execute })
      say({ event: 'NIC_RX_FILTER_CHANGED', timestamp: {} })
    })
    const qmp = await connect()
    const seen: unknown[] = []
    qmp.events.on('event', (name, data) => seen.push([name, data]))
    const names = ['one', 'two', 'three']
    expect(await Promise.all(names.map((name) => qmp.execute(name)))).toEqual(names)
    await expect.poll(() => seen.length).toBe(6)
    expect(seen).toContainEqual(['RTC_CHANGE', { offset: 1 }])
  })

  it('that QEMU refuses fails with its words, and the next one works', async () => {
    await fakeQemu(({ execute }, say) =>
      say(
        execute === 'bad'
          ? { error: { class: 'GenericError', desc: 'Device not found' } }
          : { return: 'good' },
      ),
    )
    const qmp = await connect()
    await expect(qmp.execute('bad')).rejects.toThrow('QEMU refused bad: Device not found')
    expect(await qmp.execute('good')).toBe('good')
  })

  it.each([
    ['at once', ''],
    ['in the middle of its answer', '{"return": {"sta'],
  ])('fails when QEMU ends %s', async (_case, lastWords) => {
    await fakeQemu(() => socket?.end(lastWords))
    const qmp = await connect()
    const closed = once(qmp.events, 'close')
    await expect(qmp.execute('query-status')).rejects.toThrow('QEMU ended during query-status')
    await closed
    await expect(qmp.execute('stop')).rejects.toThrow('QEMU ended before stop')
  })
})

describe('a connection', () => {
  /** Begins to connect to nothing, and has tried again. */
  const connectInVain = async () => {
    const tries = vi.spyOn(Socket.prototype, 'connect')
    const connecting = connect()
    await expect.poll(() => tries.mock.calls.length).toBeGreaterThan(1)
    return { connecting }
  }

  it('waits until the socket is there', async () => {
    const { connecting } = await connectInVain()
    await fakeQemu((_command, say) => say({ return: 'there' }))
    expect(await (await connecting).execute('x')).toBe('there')
  })

  it('is given up when it is not wanted any more', async () => {
    const { connecting } = await connectInVain()
    giveUp.abort()
    await expect(connecting).rejects.toThrow(/abort/i)
  })

  it('is given up when QEMU greets and then says nothing', async () => {
    server = createServer((connection) => {
      socket = connection
      connection.write(`${JSON.stringify(greeting)}\r\n`)
      connection.once('data', () => giveUp.abort())
    }).listen(path('qmp'))
    await once(server, 'listening')
    await expect(connect()).rejects.toThrow('QEMU ended during qmp_capabilities')
  })

  it('fails when QEMU ends before its greeting', async () => {
    server = createServer((connection) => connection.end()).listen(path('qmp'))
    await once(server, 'listening')
    await expect(connect()).rejects.toThrow('QEMU ended')
  })
})
