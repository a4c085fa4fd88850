/** The host's end of the checkpoint client: between two stages, Packer waits here for a response. */

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { quote } from '../host/shell-words.ts'

export interface CheckpointServer {
  /** Shell command that requests a stage's checkpoint and returns once it is answered. */
  readonly command: (stage: string) => string
  /** Makes the command of a waiting stage succeed, or fail with an error. */
  readonly answer: (stage: string, error?: string) => void
  /** Fails the commands that are still waiting. */
  readonly close: () => void
}

/** Listens on a Unix socket; calls `onAsk` with each stage that requests a checkpoint. */
export async function startCheckpointServer(
  socketPath: string,
  onAsk: (stage: string) => void,
): Promise<CheckpointServer> {
  const sockets = new Set<Socket>()
  const waiting = new Map<string, Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let request = ''
    sockets.add(socket)
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      request += text
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    socket.on('end', () => {
      waiting.set(request.trim(), socket)
      onAsk(request.trim())
    })
  })
  server.listen(socketPath)
  await once(server, 'listening')
  const client = fileURLToPath(new URL('./checkpoint-client.js', import.meta.url))
  return {
    command: (stage) => [process.execPath, client, socketPath, stage].map(quote).join(' '),
    answer: (stage, error = 'sealed') => {
      waiting.get(stage)?.end(`${error}\n`)
      waiting.delete(stage)
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
