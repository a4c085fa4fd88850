import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectAgent, type GuestAgent } from '../../../src/qemu/guest-agent.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const sentinel = Buffer.of(0xff)

let server: Server | undefined
let socket: Socket | undefined
let agent: GuestAgent | undefined
let giveUp: AbortController

beforeEach(() => {
  giveUp = new AbortController()
})

afterEach(() => {
  agent?.close()
  socket?.destroy()
  server?.close()
  agent = undefined
})

interface Request {
  readonly execute: string
  readonly arguments?: Record<string, unknown>
}

type Say = (bytes: string | Buffer) => void

/** An agent that syncs as QEMU's does, and leaves every other command to `answer`. */
async function fakeAgent(answer: (request: Request, say: Say) => void, isMute = false): Promise<void> {
  server = createServer((connection) => {
    socket = connection
    // The other end hangs up while it is still being sent to.
    connection.on('error', () => connection.destroy())
    const say: Say = (bytes) => void connection.write(bytes)
    let rest = Buffer.alloc(0)
    connection.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        const line = rest.subarray(0, end)
        rest = rest.subarray(end + 1)
        const request = JSON.parse(line.subarray(line.lastIndexOf(0xff) + 1).toString()) as Request
        if (request.execute === 'guest-sync-delimited' && !isMute) {
          expect(line[0], 'a sync begins with the sentinel').toBe(0xff)
          say(Buffer.concat([sentinel, Buffer.from(`{"return": ${request.arguments?.id}}\n`)]))
        } else answer(request, say)
      }
    })
  }).listen(path('agent'))
  await once(server, 'listening')
}

async function connect(): Promise<GuestAgent> {
  agent = await connectAgent(path('agent'), giveUp.signal)
  return agent
}

const answer = (value: unknown) => `${JSON.stringify({ return: value })}\n`

describe('a call to the guest agent', () => {
  it('gets its answer, with its arguments as they were given', async () => {
    await fakeAgent((request, say) => say(answer(request)))
    const { call } = await connect()
    expect(await call('guest-sync', { id: 1234567890 })).toEqual({
      execute: 'guest-sync',
      arguments: { id: 1234567890 },
    })
    expect(await call('guest-ping')).toEqual({ execute: 'guest-ping' })
  })

  it('gets an answer that comes in pieces, cut within a line and within a letter', async () => {
    const bytes = Buffer.from(answer('é'.repeat(3)))
    await fakeAgent((_request, say) => {
      for (const byte of bytes) say(Buffer.of(byte))
    })
    expect(await (await connect()).call('x')).toBe('ééé')
  })

  it('that the agent refuses fails with its words, and the next one works', async () => {
    await fakeAgent(({ execute }, say) =>
      say(
        execute === 'bad'
          ? `${JSON.stringify({ error: { class: 'CommandNotFound', desc: 'The command bad has not been found' } })}\n`
          : answer('good'),
      ),
    )
    const { call } = await connect()
    await expect(call('bad')).rejects.toThrow('refused bad: The command bad has not been found')
    expect(await call('next')).toBe('good')
  })

  it('without an answer fails in its time, and its late answer is not taken for the next one', async () => {
    let late: (() => void) | undefined
    await fakeAgent(({ execute }, say) => {
      if (execute === 'slow') late = () => say(answer('late'))
      else say(answer(execute))
    })
    const { call } = await connect()
    await expect(call('slow', undefined, 0.1)).rejects.toThrow('has not answered slow within 0.1 s')
    late?.()
    expect(await call('next')).toBe('next')
  })

  it('asks one after the other, also when it is called side by side', async () => {
    let open = 0
    await fakeAgent(({ execute }, say) => {
      open += 1
      expect(open).toBe(1)
      setImmediate(() => {
        open -= 1
        say(answer(execute))
      })
    })
    const { call } = await connect()
    const names = ['one', 'two', 'three']
    expect(await Promise.all(names.map((name) => call(name)))).toEqual(names)
  })

  it('that is answered without an end fails, and so does every later one', async () => {
    await fakeAgent((_request, say) => {
      const chunk = Buffer.alloc(1024 ** 2, 'x')
      for (let sent = 0; sent < 64; sent += 1) say(chunk)
    })
    const { call, sync } = await connect()
    const flood = {
      code: 'guest-floods',
      message: 'the guest floods the port of its agent: one answer has more than 49152 KiB',
    }
    await expect(call('x')).rejects.toMatchObject(flood)
    await expect(sync(1)).rejects.toMatchObject(flood)
    expect(socket).toBeDefined()
    await expect.poll(() => socket?.destroyed).toBe(true)
  })

  it('gets the largest answer that an agent gives: both outputs of a command, with 16 MiB each', async () => {
    const output = Buffer.alloc(16 * 1024 ** 2, 'x').toString('base64')
    const status = { exited: true, exitcode: 0, 'out-data': output, 'err-data': output }
    await fakeAgent((_request, say) => say(answer(status)))
    expect(await (await connect()).call('guest-exec-status')).toEqual(status)
  })

  it('fails when QEMU ends', async () => {
    await fakeAgent(() => socket?.destroy())
    await expect((await connect()).call('x')).rejects.toThrow('QEMU ended')
  })
})

describe('a sync', () => {
  it('throws away what was left over from whoever asked before', async () => {
    await fakeAgent((_request, say) => say(answer('ours')))
    const { sync, call } = await connect()
    socket?.write('{"return": "stale"}\n{"retu')
    await sync(1)
    expect(await call('x')).toBe('ours')
  })

  it('fails in its time where nobody is', async () => {
    await fakeAgent(() => undefined, true)
    await expect((await connect()).sync(0.1)).rejects.toThrow('within 0.1 s')
  })
})

describe('a command in the guest', () => {
  it('is polled until it has ended, and tells its status and both outputs', async () => {
    let polls = 0
    await fakeAgent((request, say) => {
      if (request.execute === 'guest-exec') {
        expect(request.arguments).toMatchObject({ path: '/bin/sh', arg: ['-c', 'echo é; exit 3'] })
        say(answer({ pid: 7 }))
      } else {
        polls += 1
        expect(request.arguments).toEqual({ pid: 7 })
        const ended = {
          exited: true,
          exitcode: 3,
          'out-data': Buffer.from('é\n').toString('base64'),
          'err-data': Buffer.from('oh').toString('base64'),
        }
        say(answer(polls < 3 ? { exited: false } : ended))
      }
    })
    const result = await (await connect()).run('echo é; exit 3')
    expect(result).toEqual({ exitCode: 3, stdout: 'é\n', stderr: 'oh' })
    expect(polls).toBe(3)
  })

  it('that a signal has ended has the status that a shell would give it', async () => {
    await fakeAgent(({ execute }, say) =>
      say(answer(execute === 'guest-exec' ? { pid: 1 } : { exited: true, signal: 9 })),
    )
    expect(await (await connect()).run('x')).toMatchObject({ exitCode: 137 })
  })

  it('prints nothing that a terminal would act on', async () => {
    const output = Buffer.from('\u001b]3008;start=1\u001b\\active\u001b[0m\r\n').toString('base64')
    await fakeAgent(({ execute }, say) =>
      say(answer(execute === 'guest-exec' ? { pid: 1 } : { exited: true, exitcode: 0, 'out-data': output })),
    )
    expect(await (await connect()).run('x')).toMatchObject({ stdout: 'active\n' })
  })

  it('that does not end is given up', async () => {
    await fakeAgent(({ execute }, say) =>
      say(answer(execute === 'guest-exec' ? { pid: 1 } : { exited: false })),
    )
    await expect((await connect()).run('sleep 9', 0.2)).rejects.toThrow('within 0.2 s: sleep 9')
  })
})

it('a file is opened, written and closed, as the host hands its data over', async () => {
  const seen: unknown[] = []
  await fakeAgent((request, say) => {
    seen.push([request.execute, request.arguments])
    say(answer(request.execute === 'guest-file-open' ? 1000 : {}))
  })
  await (await connect()).writeFile('/var/cache/cloud/cmdline', 'type=router')
  expect(seen).toEqual([
    ['guest-file-open', { path: '/var/cache/cloud/cmdline', mode: 'w+' }],
    ['guest-file-write', { handle: 1000, 'buf-b64': Buffer.from('type=router').toString('base64') }],
    ['guest-file-close', { handle: 1000 }],
  ])
})

describe('a hostile guest agent', () => {
  it.each(['null', '5', '"text"', '[null]', '{"error": null}', '{"error": {"desc": 5}}'])(
    'that sends %s ends nothing, and is not taken for one that answers',
    async (line) => {
      await fakeAgent((_request, say) => say(`${line}\n`), true)
      const { sync } = await connect()
      await expect(sync(0.3)).rejects.toThrow('the guest agent has not answered guest-sync-delimited')
    },
  )

  it.each<[string, unknown, unknown]>([
    ['no process', null, undefined],
    ['a process that is not a number', { pid: { length: 5e9 } }, undefined],
    ['no status', { pid: 1 }, null],
    ['an output that is no text', { pid: 1 }, { exited: true, exitcode: 0, 'out-data': { length: 5e9 } }],
    ['an exit code that is no number', { pid: 1 }, { exited: true, exitcode: 'zero' }],
  ])('gives %s for a command', async (_case, started, status) => {
    await fakeAgent(({ execute }, say) => say(answer(execute === 'guest-exec' ? started : status)))
    const { run } = await connect()
    await expect(run('true')).rejects.toThrow(
      /^the guest agent answers guest-exec(-status)? in another form$/,
    )
  })

  it('refuses in as many words as anyone would read', async () => {
    const desc = '\u0000'.repeat(5_000_000)
    await fakeAgent((_request, say) => say(`${JSON.stringify({ error: { class: 'x', desc } })}\n`))
    const { call } = await connect()
    const error = (await call('guest-ping').catch((thrown: unknown) => thrown)) as Error
    expect(error.message).toMatch(/^the guest agent refused guest-ping: /)
    expect(error.message.length).toBeLessThan(2000)
  })
})
