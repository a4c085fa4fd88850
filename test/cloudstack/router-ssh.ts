/** How a router is reached: as root, over the control network, with the key that it was handed. */

import { join } from 'node:path'
import { execa } from 'execa'
import type { SshKey } from '../../src/qemu/ssh.ts'
import type { LabHost, LabResult } from './lab.ts'

export interface RouterSsh {
  /** Runs a shell command. A failure is a result. */
  readonly run: (command: string, limitSeconds?: number) => Promise<LabResult>
  /** Copies files into a folder. @throws Error with what scp said */
  readonly copy: (files: readonly string[], to: string) => Promise<void>
  /** Ends the connection. */
  readonly close: () => Promise<void>
}

const port = '3922'
const commandLimitSeconds = 60
const copyLimitSeconds = 120

/** @param folder a folder with a short path, for the socket of the connection */
export function openSsh(from: LabHost, key: SshKey, folder: string, address: string): RouterSsh {
  const options = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    LogLevel: 'ERROR',
    ConnectTimeout: '20',
    IdentityFile: key.file,
    IdentitiesOnly: 'yes',
    // A handshake takes an emulated processor seconds.
    ControlMaster: 'auto',
    ControlPath: join(folder, 'ssh'),
    ControlPersist: '300',
  }
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const login = `root@${address}`
  const start = async (program: string, more: readonly string[], limitSeconds: number) => {
    const { exitCode, stdout, stderr } = await execa(
      'ip',
      ['netns', 'exec', from.namespace, program, '-F', 'none', ...words, ...more],
      { reject: false, stdin: 'ignore', timeout: limitSeconds * 1000 },
    )
    return { exitCode, stdout, stderr }
  }
  return {
    run: (command, limitSeconds = commandLimitSeconds) =>
      start('ssh', ['-p', port, login, command], limitSeconds),
    copy: async (files, to) => {
      // The protocol of old, which is the one that management servers speak.
      const { exitCode, stderr } = await start(
        'scp',
        ['-O', '-p', '-P', port, ...files, `${login}:${to}`],
        copyLimitSeconds,
      )
      if (exitCode !== 0) throw new Error(`scp of ${files.join(', ')} ended with ${exitCode}: ${stderr}`)
    },
    close: async () => {
      await start('ssh', ['-O', 'exit', login], 5)
    },
  }
}
