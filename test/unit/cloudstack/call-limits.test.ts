/** A CloudStack that begins to answer and never ends, or never says anything new. */

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type CallCloud, openCloud } from '../../../src/cloudstack/api.ts'
import type { CloudImage } from '../../../src/cloudstack/images.ts'
import { waitUntilReady } from '../../../src/cloudstack/register.ts'
import { collectGarbage, shortenLimits } from '../../support/limits.ts'

const never = new AbortController().signal
const zone = { id: 'z1', name: 'east' }
let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** A server that sends one byte for each request. */
async function startSlowCloud(): Promise<{ readonly call: CallCloud; readonly calls: () => number }> {
  let calls = 0
  server = createServer((request, response) => {
    calls += 1
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json' }).write('{')
    void collectGarbage()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/client/api`)
  return { call: openCloud({ url, apiKey: 'key', secretKey: 'secret' }), calls: () => calls }
}

const waitFor = (call: CallCloud, timeoutMs: number) =>
  waitUntilReady(
    call,
    't1',
    {
      image: { name: 'ours' } as CloudImage,
      ...{ url: 'http://x', zones: [], awaited: [zone], onStatus: () => undefined, signal: never },
    },
    { timeoutMs, pauseMs: 1 },
  )

describe('a call of CloudStack', () => {
  it.each(['listZones', 'registerTemplate'])(
    'has a minute for all of its attempts together: %s',
    async (command) => {
      const asked = shortenLimits()
      const { call, calls } = await startSlowCloud()
      await expect(call({ command, answer: z.unknown(), signal: never })).rejects.toMatchObject({
        code: 'server-unreachable',
        message: expect.stringMatching(/^cannot reach 127\.0\.0\.1:\d+: it took longer than 60 s$/),
        exitCode: 3,
      })
      expect(calls()).toBeLessThan(2)
      expect(Math.min(...asked)).toBe(60_000)
    },
  )
})

describe('waiting for a template', () => {
  it('ends in its time, even during a call', async () => {
    const { call } = await startSlowCloud()
    await expect(waitFor(call, 300)).rejects.toMatchObject({
      code: 'template-not-ready',
      message: 'the template ours is not ready: it took too long; east: not known',
    })
  })

  it('says what was known last', async () => {
    let calls = 0
    const call = (async ({ signal, answer }: Parameters<CallCloud>[0]) => {
      calls += 1
      if (calls === 1)
        return answer.parse({
          template: [{ id: 't1', name: 'ours', zoneid: 'z1', isready: false, status: '40% Downloaded' }],
        })
      await once(signal, 'abort')
      throw signal.reason
    }) as CallCloud
    await expect(waitFor(call, 300)).rejects.toThrow('it took too long; east: 40% Downloaded')
  })
})
