/** A person's way into a guest that is being built. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Runs a shell or a command as the guest's root, with the terminal. Returns its exit status. */
export async function runSsh(key: string, port: number, command: readonly string[]): Promise<number> {
  const options = {
    BatchMode: 'yes',
    // A key made for this guest minutes ago, on the loopback interface.
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    LogLevel: 'ERROR',
    IdentitiesOnly: 'yes',
  }
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const terminal = command.length === 0 ? ['-t'] : []
  const ssh = spawn(
    'ssh',
    [...words, ...terminal, '-i', key, '-p', `${port}`, 'root@127.0.0.1', '--', ...command],
    { stdio: 'inherit' },
  )
  const [exitCode] = (await once(ssh, 'exit')) as [number | null]
  return exitCode ?? 1
}
