/** Unix sockets: the maximum length of their paths, and connecting to one that another program is about to create. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Longest path of a Unix socket on Linux: `sun_path` has 108 bytes, the last of them zero. */
export const socketPathBytes = 107

/** Connects as soon as the socket exists; gives up when `signal` is aborted. */
export async function connectWhenThere(path: string, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    signal.throwIfAborted()
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return socket
    } catch {
      socket.destroy()
      await sleep(50, undefined, { signal })
    }
  }
}
