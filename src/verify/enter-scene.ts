/** Brings a guest to the state that its scene requires: hands over its boot arguments, and waits for first boot to end. */

import { setTimeout as sleep } from 'node:timers/promises'
import { copyScripts } from '../contract/copy-scripts.ts'
import type { BaseBoot, Scene, SceneSpec } from '../contract/scenes.ts'
import type { ErrorCode } from '../error-codes.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { renderCommandLine, renderPortLines } from '../guest/boot-arguments.ts'
import { type Guest, oldPort } from '../guest/guest.ts'
import type { GuestAgent } from '../qemu/guest-agent.ts'
import type { SshKey } from '../qemu/ssh.ts'
import type { SceneResult } from '../report/verification.ts'

export async function enterScene(
  scene: Scene,
  spec: SceneSpec,
  { baseBoot, key }: { readonly baseBoot?: BaseBoot | undefined; readonly key: SshKey },
): Promise<void> {
  const { guest, bootArguments, record, limit } = scene
  const sinceBoot = (baseBoot?.record.agentSeconds ?? 0) * (baseBoot === undefined ? 0 : 1)
  const login = async (): Promise<void> => {
    if (record.loginSeconds !== undefined || spec.hasSerialPort === false) return
    await guest.waitForLogin(limit(60) + 60)
    record.loginSeconds = sinceBoot + guest.seconds()
  }
  if (bootArguments !== undefined && spec.way === 'port') {
    // As early as CloudStack's hosts did: before anything in the guest has opened the port.
    await guest.send(oldPort, renderPortLines(bootArguments, key.publicKey))
  }
  if (spec.way === 'none' && baseBoot === undefined) await login()
  const agent = await guest.waitForAgent(limit(60) + 60, limit(10))
  record.agentSeconds ??= guest.seconds()
  if (bootArguments !== undefined) {
    if (spec.breaks !== undefined) await guest.run(spec.breaks)
    const from = spec.way === 'agent' ? guest.seconds() : 0
    if (spec.way === 'agent')
      await agent.writeFile('/var/cache/cloud/cmdline', renderCommandLine(bootArguments))
    const isPatched = bootArguments.type !== 'cksnode' && bootArguments.type !== 'sharedfsvm'
    if (scene.contract === 'cloudstack-payload' && isPatched) await copyScripts(scene)
    if (spec.breaks === undefined) {
      await waitUntilReady(guest, agent, limit)
      record.readySeconds = guest.seconds() - from
    } else {
      await guest.run('systemctl is-system-running --wait', limit(240))
    }
    const { stdout } = await guest.run('cat /var/cache/cloud/cmd_line.json')
    record.wasTaken = stdout.includes(`"${bootArguments.name}"`)
    if (!record.wasTaken) {
      await login()
      throw failure(
        'not-taken',
        `first boot did not take what was handed over: cmd_line.json has ${stdout.trim().slice(0, 200) || 'nothing'}`,
      )
    }
  } else {
    await guest.run('systemctl is-system-running --wait', limit(180))
  }
  await login()
}

/** @throws PipelineError `not-ready` if first boot ended without reporting success */
async function waitUntilReady(
  { run, seconds, options }: Guest,
  agent: GuestAgent,
  limit: Scene['limit'],
): Promise<void> {
  let askedAt = seconds()
  let upSince: number | undefined
  for (const end = seconds() + limit(240); seconds() < end; ) {
    if (await agent.hasFile('/var/cache/cloud/boot_up_done')) return
    // Not often: each look starts a program, which slows down the boot.
    if (seconds() - askedAt > limit(2)) {
      const { stdout } = await run('systemctl is-system-running')
      askedAt = seconds()
      const isUp = /^(running|degraded|maintenance)$/m.test(stdout)
      upSince = isUp ? (upSince ?? askedAt) : undefined
      // Everything that boot starts has started: nothing is left that could write the file.
      if (upSince !== undefined && askedAt - upSince > limit(5)) {
        throw failure(
          'not-ready',
          `the system is ${stdout.trim()}, and there is no /var/cache/cloud/boot_up_done`,
        )
      }
    }
    await sleep(500, undefined, { signal: options.signal })
  }
  throw failure('not-ready', `no /var/cache/cloud/boot_up_done within ${limit(240)} s`)
}

function failure(code: ErrorCode, message: string): PipelineError {
  return new PipelineError({ code, message, exitCode: exitCodes.verificationFailed })
}

/** Where the guest's boot time went. Only worth measuring in a file's first or only scene. */
export async function analyseStartup({ guest, name, limit }: Scene): Promise<Partial<SceneResult>> {
  if (name !== 'secstorage' && name !== 'boot' && name !== 'virtualbox') return {}
  try {
    const { stdout } = await guest.run(
      'systemd-analyze time; systemd-analyze blame --no-pager | head -n 10',
      limit(30),
    )
    const [startup, ...rest] = stdout.split('\n')
    const slowest = rest.flatMap((line) => {
      const match = /^\s*([\d.]+(?:min [\d.]+)?m?s)\s+(\S+)$/.exec(line)
      return match === null ? [] : [{ unit: match[2] ?? '', time: match[1] ?? '' }]
    })
    return startup?.startsWith('Startup finished') ? { startup: startup.trim(), slowest } : {}
  } catch {
    return {}
  }
}
