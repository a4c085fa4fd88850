import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { type CheckpointServer, startCheckpointServer } from '../../../src/stages/checkpoint-server.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
let server: CheckpointServer | undefined

afterEach(() => server?.close())

/** Runs a command as Packer does, by a shell. */
async function run(command: string): Promise<{ exitCode: number; stderr: string }> {
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const [exitCode] = (await once(child, 'close')) as [number]
  return { exitCode, stderr }
}

describe('a checkpoint', () => {
  it('holds Packer up until the layer is sealed', async () => {
    const order: string[] = []
    server = await startCheckpointServer(path('socket'), async (stage) => {
      if (stage === 'another') return server?.answer(stage)
      order.push(`asked for ${stage}`)
      // It takes as long as this one would, if nothing held it up.
      await run(server?.command('another') ?? '')
      order.push('sealed')
      server?.answer(stage)
    })
    const { exitCode, stderr } = await run(server.command('greet'))
    order.push('Packer goes on')
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(order).toEqual(['asked for greet', 'sealed', 'Packer goes on'])
  })

  it('that fails stops Packer, and says which layer and why', async () => {
    server = await startCheckpointServer(path('socket'), (stage) => server?.answer(stage, 'no space left'))
    const { exitCode, stderr } = await run(server.command('greet'))
    expect(exitCode).toBe(1)
    expect(stderr).toContain('the layer of greet was not sealed: no space left')
  })

  it('that is never answered stops Packer when the build closes its end', async () => {
    const closing = await startCheckpointServer(path('socket'), () => closing.close())
    const { exitCode, stderr } = await run(closing.command('greet'))
    expect(exitCode).toBe(1)
    expect(stderr).toContain('greet')
  })

  it('without a build that listens stops Packer', async () => {
    const gone = await startCheckpointServer(path('socket'), (stage) => gone.answer(stage))
    gone.close()
    const { exitCode, stderr } = await run(gone.command('greet'))
    expect(exitCode).toBe(1)
    expect(stderr).toContain(`the build does not answer at ${path('socket')}`)
  })

  it('serves several stages, one after the other', async () => {
    const asked: string[] = []
    server = await startCheckpointServer(path('socket'), (stage) => {
      asked.push(stage)
      server?.answer(stage)
    })
    for (const stage of ['one', 'two', 'three']) await run(server.command(stage))
    expect(asked).toEqual(['one', 'two', 'three'])
  })

  it('finds its way through a folder that a shell would take apart', async () => {
    const folder = path(`it's $HOME, "a" b`)
    mkdirSync(folder)
    server = await startCheckpointServer(`${folder}/socket`, (stage) => server?.answer(stage))
    expect((await run(server.command('greet'))).exitCode).toBe(0)
  })
})
