/** A router in the lab, started as its host starts it, and programmed as the management server programs it. */

import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { locateDisk, virtualSizeOf } from '../../src/disk/disk-source.ts'
import { agentPort, type Guest, startGuest } from '../../src/guest/guest.ts'
import { makeSshKey } from '../../src/qemu/ssh.ts'
import type { Processor } from './emulated-boot.ts'
import { kvmMachine } from './kvm-machine.ts'
import type { Lab, LabResult } from './lab.ts'
import type { RouterFile } from './router-files/file.ts'
import { openSsh, type RouterSsh } from './router-ssh.ts'
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
/** As long as the management server waits for one of its scripts. */
const scriptLimitSeconds = 600
const bootLimitSeconds = 1200

const faultsCommand = [
  'systemctl list-units --state=failed,auto-restart --no-legend --plain',
  "grep -A12 '^Traceback' /var/log/cloud.log",
  "grep -E 'returned non-zero exit status 12[67]' /var/log/cloud.log",
  'true',
].join('; ')

/** Boots it, hands it its words and CloudStack's scripts, and waits until it says that it is up. */
export async function startRouter(options: RouterOptions): Promise<Router> {
  const { lab, folder, signal } = options
  await mkdir(folder, { recursive: true })
  const key = await makeSshKey(folder)
  const source = await locateDisk(options.image)
  const networks = []
  for (const { network, mac } of options.cards) networks.push(await lab.plug(network, mac))
  const guest = await startGuest({
    folder,
    backing: source.node,
    diskBytes: await virtualSizeOf(source),
    model: kvmMachine,
    ...options.processor,
    cpus: 1,
    memoryMiB: 512,
    networks,
    namespace: lab.control.namespace,
    ports: [agentPort],
    signal,
  })
  const ssh = openSsh(lab.control, key, folder, options.controlAddress)
  const router = control(guest, ssh, lab, folder)
  try {
    const agent = await guest.waitForAgent(bootLimitSeconds, bootLimitSeconds)
    const words = { ...options.words, authorized_key: Buffer.from(key.publicKey).toString('base64') }
    await agent.writeFile(
      `${cacheFolder}/cmdline`,
      Object.entries(words)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    )
    const succeeds = async (command: string) => (await ssh.run(command, 30)).exitCode === 0
    await waitUntil('sshd answers', bootLimitSeconds, () => succeeds('true'))
    await ssh.copy(options.patch, cacheFolder)
    await waitUntil('the boot is done', bootLimitSeconds, () =>
      succeeds(`test -e ${cacheFolder}/boot_up_done`),
    )
    return router
  } catch (error) {
    await router.close()
    throw error
  }
}

function control(guest: Guest, ssh: RouterSsh, lab: Lab, folder: string): Router {
  const runScript = async (command: string): Promise<void> => {
    const { exitCode, stdout, stderr } = await ssh.run(command, scriptLimitSeconds)
    // What fails in the midst of many is told, but does not make the whole fail.
    if (exitCode === 0 && !stderr.includes('execution failed')) return
    throw new Error(`${command} ended with ${exitCode}:\n${stdout}\n${stderr}`)
  }
  const send = async (name: string, content: string): Promise<void> => {
    const file = join(folder, name)
    await writeFile(file, content)
    await ssh.copy([file], cacheFolder)
  }
  return {
    guest,
    run: ssh.run,
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
      const { stdout } = await ssh.run(faultsCommand)
      return stdout.split('\n').filter((line) => line !== '')
    },
    close: async () => {
      await ssh.close()
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
