/** A guest booted from a finished image the way a user would: through its own boot loader, with nothing of ours. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectQmp } from '../../src/build/qmp.ts'
import { chooseAccelerator } from '../../src/host/accelerator.ts'

export interface Guest {
  /** What the serial console has said so far. */
  readonly console: () => Promise<string>
  /** Waits for a text on the console. */
  readonly waitFor: (pattern: RegExp, limitSeconds: number) => Promise<string>
  /** Runs a shell command by the guest agent. */
  readonly run: (command: string) => Promise<{ readonly exitCode: number; readonly stdout: string }>
  /** Presses the power button and waits for the machine to go off. */
  readonly powerDown: (limitSeconds: number) => Promise<void>
  /** Port on 127.0.0.1 that leads to the guest's 3922. */
  readonly sshPort: number
  readonly close: () => Promise<void>
}

/** Boots an image read-only: what the guest writes is thrown away. */
export async function bootImage(image: string, cacheDir: string): Promise<Guest> {
  const folder = await mkdtemp(join(tmpdir(), 'systemvm-guest-'))
  const serial = join(folder, 'serial.log')
  const agentSocket = join(folder, 'agent')
  const { accelerator, cpu } = await chooseAccelerator({ arch: 'x86_64', kernels: [], cacheDir })
  const sshPort = 20_000 + (process.pid % 10_000)
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...[
        '-nodefaults',
        '-display',
        'none',
        '-machine',
        `pc,accel=${accelerator}`,
        '-cpu',
        cpu,
        '-smp',
        '2',
        '-m',
        '1024M',
      ],
      ...['-drive', `file=${image},format=qcow2,if=virtio,snapshot=on`],
      ...[
        '-netdev',
        `user,id=net0,hostfwd=tcp:127.0.0.1:${sshPort}-:3922`,
        '-device',
        'virtio-net-pci,netdev=net0',
      ],
      ...['-serial', `file:${serial}`, '-device', 'virtio-serial'],
      ...['-chardev', `socket,id=agent,path=${agentSocket},server=on,wait=off`],
      ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
      ...['-qmp', `unix:${join(folder, 'qmp')},server=on,wait=off`],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const consoleText = () => readFile(serial, 'latin1').catch(() => '')
  return {
    console: consoleText,
    waitFor: async (pattern, limitSeconds) => {
      for (const end = Date.now() + limitSeconds * 1000; Date.now() < end; await sleep(500)) {
        const text = await consoleText()
        if (pattern.test(text)) return text
        if (qemu.exitCode !== null) break
      }
      throw new Error(
        `no ${pattern} on the console within ${limitSeconds} s:\n${(await consoleText()).slice(-3000)}`,
      )
    },
    run: (command) => runByAgent(agentSocket, command),
    powerDown: async (limitSeconds) => {
      const signal = AbortSignal.timeout(limitSeconds * 1000)
      const qmp = await connectQmp(join(folder, 'qmp'), signal)
      await qmp.execute('system_powerdown')
      await once(qemu, 'exit', { signal })
    },
    sshPort,
    close: async () => {
      await kill(qemu)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

interface ExecStatus {
  readonly exited: boolean
  readonly exitcode?: number
  readonly 'out-data'?: string
}

async function runByAgent(path: string, command: string): Promise<{ exitCode: number; stdout: string }> {
  const socket = connect(path)
  const answers: ((answer: { return?: unknown; error?: unknown }) => void)[] = []
  createInterface({ input: socket }).on('line', (line) => answers.shift()?.(JSON.parse(line)))
  const call = async (execute: string, argumentsObject: object): Promise<unknown> => {
    const answered = new Promise<{ return?: unknown; error?: unknown }>((resolve) => answers.push(resolve))
    socket.write(`${JSON.stringify({ execute, arguments: argumentsObject })}\n`)
    const answer = await answered
    if (answer.error !== undefined)
      throw new Error(`the agent refused ${execute}: ${JSON.stringify(answer.error)}`)
    return answer.return
  }
  try {
    await call('guest-sync', { id: 1234567890 })
    const started = (await call('guest-exec', {
      path: '/bin/sh',
      arg: ['-c', command],
      'capture-output': true,
    })) as { readonly pid: number }
    for (;;) {
      const status = (await call('guest-exec-status', { pid: started.pid })) as ExecStatus
      if (status.exited) {
        const stdout = Buffer.from(status['out-data'] ?? '', 'base64').toString()
        return { exitCode: status.exitcode ?? -1, stdout }
      }
      await sleep(200)
    }
  } finally {
    socket.destroy()
  }
}
