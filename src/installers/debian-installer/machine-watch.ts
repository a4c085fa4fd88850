/** What can be seen of the installer's machine from outside: its serial console, and what QEMU reports. */

import { followLines } from '../../qemu/console.ts'
import { connectQmp } from '../../qemu/qmp.ts'

/** Passes on lines from a console log, which need not exist yet. */
export function followConsole(path: string, onLine: (line: string) => void) {
  const following = new AbortController()
  const followed = followLines(path, following.signal, onLine)
  return {
    close: async () => {
      following.abort()
      await followed
    },
  }
}

/**
 * @param qmpSocket need not exist yet
 * @param onDiskError called when the host fails to read or write the machine's disk
 */
export function watchPower(qmpSocket: string, onDiskError: (isFull: boolean) => void) {
  const watching = new AbortController()
  let isPowerOff = false
  const connected = connectQmp(qmpSocket, watching.signal).then(
    ({ events }) => {
      events.on('event', (name: string, data: QmpEventData = {}) => {
        if (name === 'SHUTDOWN') isPowerOff = data.reason === 'guest-shutdown'
        if (name === 'BLOCK_IO_ERROR') onDiskError(data.nospace === true)
      })
    },
    () => undefined,
  )
  return {
    /** Whether the machine has powered itself off. */
    isPowerOff: () => isPowerOff,
    close: async () => {
      watching.abort()
      await connected
    },
  }
}

interface QmpEventData {
  readonly reason?: string
  readonly nospace?: boolean
}
