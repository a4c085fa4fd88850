/** A router in the lab, started as its host starts it, and programmed as the management server programs it. */

import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { deviceModels } from '../../src/verify/device-models.ts'
import { locateDisk, virtualSizeOf } from '../../src/verify/disk-source.ts'
import { agentPort, type Guest, startGuest } from '../../src/verify/guest.ts'
import { makeSshKey, type SshKey } from '../../src/verify/ssh.ts'
import type { Processor } from './emulated-boot.ts'
import type { Lab, LabResult } from './lab.ts'
import { waitUntil } from './wait.ts'

/** A card of the router's, in the order of its interfaces. */
export interface RouterCard {
  readonly network: string
  readonly mac: string
}

export interface RouterOptions {
  readonly lab: Lab
  readonly image: string
  readonly processor: Processor
  /** Folder for this guest; its path is short. */
  readonly folder: string
  /** The three files that its host copies into it. */
  readonly patch: readonly string[]
  readonly cards: readonly RouterCard[]
  readonly controlAddress: string
  /** Words beside the key. */
  readonly words: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** A file that the management server sends, by the name that says what it is about. */
export interface RouterFile {
  readonly name: string
  readonly content: object
}

export interface Router {
  readonly guest: Guest
  /** Runs a shell command in it over the control network. A failure is a result. */
  readonly run: (command: string, limitSeconds?: number) => Promise<LabResult>
  /** Sends a file, and has it take effect. @throws Error with what the scripts said */
  readonly program: (file: RouterFile) => Promise<void>
  /** Sends many at once, as when a router starts. @throws Error with what the scripts said */
  readonly programAll: (files: readonly RouterFile[]) => Promise<void>
  /** Plugs another card in while it runs, and waits until it is seen. */
  readonly plugIn: (card: RouterCard) => Promise<void>
  /** Units that failed, exceptions of scripts, and programs that they have not found. */
  readonly faults: () => Promise<readonly string[]>
  /** Ends it at once, as when its host dies. */
  readonly close: () => Promise<void>
}

const cacheFolder = '/var/cache/cloud'
/** A router's scripts start dozens of programs, which takes an emulated processor its time. */
const scriptLimitSeconds = 300
const bootLimitSeconds = 1200

const faultsCommand = [
  'systemctl list-units --state=failed,auto-restart --no-legend --plain',
  "grep -A12 '^Traceback' /var/log/cloud.log",
  "grep -E 'returned non-zero exit status 12[67]' /var/log/cloud.log",
  'true',
].join('; ')

/** Boots it, hands it its words and CloudStack's scripts, and waits until it says that it is up. */
export async function startRouter(options: RouterOptions): Promise<Router> {
  const { lab, folder, controlAddress, signal } = options
  await mkdir(folder, { recursive: true })
  const key = await makeSshKey(folder)
  const source = await locateDisk(options.image)
  const networks = []
  for (const { network, mac } of options.cards) networks.push(await lab.plug(network, mac))
  const guest = await startGuest({
    folder,
    backing: source.node,
    diskBytes: await virtualSizeOf(source),
    model: deviceModels.virtio,
    ...options.processor,
    cpus: 1,
    memoryMiB: 512,
    networks,
    namespace: lab.control.namespace,
    ports: [agentPort],
    signal,
  })
  const router = reach(guest, lab, key, folder, controlAddress)
  try {
    const agent = await guest.waitForAgent(bootLimitSeconds, 120)
    const words = { ...options.words, authorized_key: Buffer.from(key.publicKey).toString('base64') }
    await agent.writeFile(
      `${cacheFolder}/cmdline`,
      Object.entries(words)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    )
    await waitUntil(
      'sshd answers',
      bootLimitSeconds,
      async () => (await router.run('true', 30)).exitCode === 0,
    )
    await router.copy(options.patch, `${cacheFolder}/`)
    await waitUntil(
      'the scripts say that the boot is done',
      bootLimitSeconds,
      async () => (await router.run(`test -e ${cacheFolder}/boot_up_done`, 30)).exitCode === 0,
    )
    return router
  } catch (error) {
    await router.close()
    throw error
  }
}

function reach(
  guest: Guest,
  lab: Lab,
  key: SshKey,
  folder: string,
  address: string,
): Router & { readonly copy: (files: readonly string[], to: string) => Promise<void> } {
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
  const ssh = async (program: string, more: readonly string[], limitSeconds: number) => {
    const { exitCode, stdout, stderr } = await execa(
      'ip',
      ['netns', 'exec', lab.control.namespace, program, '-F', 'none', ...words, ...more],
      { reject: false, stdin: 'ignore', timeout: limitSeconds * 1000 },
    )
    return { exitCode, stdout, stderr }
  }
  const run = (command: string, limitSeconds = 60) =>
    ssh('ssh', ['-p', '3922', `root@${address}`, command], limitSeconds)
  const runScript = async (command: string): Promise<void> => {
    const { exitCode, stdout, stderr } = await run(command, scriptLimitSeconds)
    if (exitCode !== 0) throw new Error(`${command} ended with ${exitCode}:\n${stdout}\n${stderr}`)
  }
  const copy = async (files: readonly string[], to: string): Promise<void> => {
    // The protocol of old, which is the one that management servers speak.
    const copied = await ssh('scp', ['-O', '-p', '-P', '3922', ...files, `root@${address}:${to}`], 120)
    if (copied.exitCode !== 0)
      throw new Error(`scp of ${files} ended with ${copied.exitCode}: ${copied.stderr}`)
  }
  const send = async (name: string, content: string): Promise<void> => {
    const file = join(folder, name)
    await writeFile(file, content)
    await copy([file], `${cacheFolder}/`)
  }
  return {
    guest,
    run,
    copy,
    program: async ({ name, content }) => {
      const unique = `${name}.${randomUUID()}`
      await send(unique, JSON.stringify(content))
      await runScript(`/opt/cloud/bin/update_config.py ${unique}`)
    },
    programAll: async (files) => {
      const name = `VR-${randomUUID()}.cfg`
      await send(name, renderInstructions(files))
      await runScript(`/opt/cloud/bin/vr_cfg.sh -c ${cacheFolder}/${name}`)
    },
    plugIn: async ({ network, mac }) => {
      const { tap } = await lab.plug(network, mac)
      const id = `plugged-${tap}`
      const backend = { type: 'tap', id, ifname: tap, script: 'no', downscript: 'no' }
      await guest.qmp.execute('netdev_add', backend)
      await guest.qmp.execute('device_add', { driver: 'virtio-net-pci', netdev: id, mac, romfile: '' })
      await runScript(`until grep -qs ${mac} /sys/class/net/eth*/address; do sleep 1; done`)
    },
    faults: async () => {
      const { stdout } = await run(faultsCommand)
      return stdout.split('\n').filter((line) => line !== '')
    },
    close: async () => {
      await ssh('ssh', ['-O', 'exit', `root@${address}`], 5)
      await guest.close()
    },
  }
}

/** Files, and what is to be run after each, in the one file that `vr_cfg.sh` reads. */
function renderInstructions(files: readonly RouterFile[]): string {
  const parts = files.flatMap(({ name, content }) => {
    const unique = `${name}.${randomUUID()}`
    return [
      ...['<file>', `${cacheFolder}/${unique}`, JSON.stringify(content), '</file>'],
      ...['<script>', `/opt/cloud/bin/update_config.py ${unique}`, '</script>'],
    ]
  })
  return [...['<version>', '1.0', '</version>'], ...parts, ''].join('\n')
}
