import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Channel, connectChannel } from '../../../src/stages/channel.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
let server: Server | undefined
const ending = new AbortController()

afterEach(() => {
  server?.close()
})

/** A guest at the other end of the port, which answers as `reply` says. */
async function withGuest(
  reply: (text: string, socket: Socket) => void,
): Promise<{ channel: Channel; heard: () => string }> {
  let heard = ''
  server = createServer((socket) => {
    socket.on('data', (data) => {
      heard += data.toString('latin1')
      reply(data.toString('latin1'), socket)
    })
  })
  server.listen(path('channel'))
  await once(server, 'listening')
  return { channel: await connectChannel(path('channel'), ending.signal), heard: () => heard }
}

describe('the build channel', () => {
  it('asks one thing at a time, and waits for its answer', async () => {
    const { channel, heard } = await withGuest((text, socket) => socket.write(`done ${text}`))
    await channel.freeze()
    await channel.thaw()
    await channel.suspend()
    expect(heard()).toBe('freeze\nthaw\nsleep\n')
  })

  it('tells a guest that resumes the time, and how much follows', async () => {
    const { channel, heard } = await withGuest((_text, socket) => socket.write('done wake\n'))
    const before = Date.now() / 1000
    await channel.resume(Buffer.from('renewal'))
    const [, seconds, bytes, rest] = /^wake ([\d.]+) (\d+)\n(.*)$/.exec(heard()) ?? []
    expect(Number(seconds)).toBeGreaterThanOrEqual(before)
    expect(Number(seconds)).toBeLessThanOrEqual(Date.now() / 1000)
    expect([bytes, rest]).toEqual(['7', 'renewal'])
  })

  it('is closed when an answer never ends', async () => {
    let guest: Socket | undefined
    const { channel } = await withGuest((_text, socket) => {
      guest = socket.on('error', () => undefined)
      socket.write(Buffer.alloc(128 * 1024, 'x'))
    })
    const flood = {
      code: 'guest-floods',
      message: 'the guest floods the build channel: one answer has more than 64 KiB',
    }
    await expect(channel.freeze()).rejects.toMatchObject(flood)
    await expect(channel.thaw()).rejects.toMatchObject(flood)
    await expect.poll(() => guest?.destroyed).toBe(true)
  })

  it('takes an answer in pieces, and no answer to something else', async () => {
    const { channel } = await withGuest((text, socket) => {
      if (text === 'freeze\n') {
        socket.write('done fr')
        // Once the other end has had its turn.
        setImmediate(() => setImmediate(() => socket.write('eeze\n')))
      } else socket.write('done freeze\n')
    })
    await channel.freeze()
    await expect(channel.thaw()).rejects.toThrow('the guest answered "thaw" with "done freeze"')
  })
})
