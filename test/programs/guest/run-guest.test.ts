import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { deliverByAgent } from '../../../src/guest/run-guest.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

it('hears of the end of a guest whose agent never answered', async () => {
  const server = createServer((connection) => connection.destroy())
  server.listen(path('agent'))
  await once(server, 'listening')
  const over = new AbortController()
  const delivered = deliverByAgent(path('agent'), 'type=router', over.signal)
  server.once('connection', () => setImmediate(() => over.abort(new Error('it has ended'))))
  await expect(delivered).rejects.toThrow()
  expect(over.signal.aborted).toBe(true)
  server.close()
})
