/** Receives the syslog of a guest by UDP, on the loopback address. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { cleanText } from '../../qemu/console.ts'

/** One message, without what its sender knows less well than we do: its time and the guest's name. */
export interface SyslogMessage {
  /** `anna`, `debconf`, …; empty where the message names none. */
  readonly program: string
  readonly text: string
}

export interface SyslogReceiver {
  readonly port: number
  readonly close: () => void
}

/** More than an installer says in a second: what the kernel drops, nobody sends again. */
const bufferBytes = 4 * 1024 ** 2

/** Binds a port that nobody else uses, and hands over what arrives there. */
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
