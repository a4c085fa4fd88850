/** The other end of the checkpoint client: seals a layer between two stages, while Packer waits. */

import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { quote } from '../host/shell-words.ts'

export interface CheckpointServer {
  /** Command of the shell that asks for a stage's checkpoint and returns when its layer is sealed. */
  readonly command: (stage: string) => string
  readonly close: () => void
}

/** Listens on a unix socket; `seal` is called once for each stage that asks. */
export async function startCheckpointServer(
  socketPath: string,
  seal: (stage: string) => Promise<void>,
): Promise<CheckpointServer> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let request = ''
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      request += text
    })
    socket.on('error', () => socket.destroy())
    socket.on('end', () => {
      seal(request.trim()).then(
        () => socket.end('sealed\n'),
        (error: Error) => socket.end(`${error.message}\n`),
      )
    })
  })
  server.listen(socketPath)
  await once(server, 'listening')
  const client = fileURLToPath(new URL('./checkpoint-client.js', import.meta.url))
  const command = (stage: string) => [process.execPath, client, socketPath, stage].map(quote).join(' ')
  return { command, close: () => server.close() }
}
