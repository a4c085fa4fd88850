/** Receives a guest's syslog by UDP, on the loopback address. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { cleanText } from '../../qemu/console.ts'

/** One message, without its time and host name, which we know better than its sender. */
export interface SyslogMessage {
  /** `anna`, `debconf`, …; empty if the message names none. */
  readonly program: string
  readonly text: string
}

export interface SyslogReceiver {
  readonly port: number
  readonly close: () => void
}

/** More than an installer sends in a second: messages that the kernel drops are lost for good. */
const bufferBytes = 4 * 1024 ** 2

/** Binds a free port, and passes on each message that arrives there. */
export async function receiveSyslog(onMessage: (message: SyslogMessage) => void): Promise<SyslogReceiver> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: bufferBytes })
  socket.on('message', (bytes) => {
    for (const message of parseSyslog(bytes.toString('utf8'))) onMessage(message)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { port: socket.address().port, close: () => socket.close() }
}

/** Parses a datagram: `<13>Nov 22 21:18:58 anna[3202]: text`, in one line or several. */
export function parseSyslog(datagram: string): readonly SyslogMessage[] {
  const [, body = datagram] =
    /^<\d+>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?([\s\S]*)$/.exec(datagram) ?? []
  const [, program = '', text = body] = /^([^\s:[\]]+)(?:\[\d+\])?: ?([\s\S]*)$/.exec(body) ?? []
  return text
    .replace(/\n+$/, '')
    .split('\n')
    .map((line) => ({ program, text: cleanText(line).trimEnd() }))
}
