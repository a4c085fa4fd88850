/** `run`: boots an image file as a system VM in the terminal. */

import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Arch } from '../arch.ts'
import { locateDisk, virtualSizeOf } from '../disk/disk-source.ts'
import { withUnpacked } from '../disk/unpack.ts'
import { requireFit } from '../doctor/host-checks.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { type RoleName, roleNames } from '../guest/roles.ts'
import { runGuest, socketsIn } from '../guest/run-guest.ts'
import { reasonOf } from '../host/failures.ts'
import { makeFolder } from '../host/files.ts'
import { outFolderAt, requireOwnFolders } from '../host/out-folder.ts'
import { createScratchFolder } from '../host/scratch-folder.ts'
import { socketPathBytes } from '../host/unix-socket.ts'
import { chooseAccelerator } from '../qemu/accelerator.ts'
import { findKernels } from '../qemu/kept-kernels.ts'
import type { Accelerator } from '../qemu/machine.ts'
import { type DeviceModelName, deviceModels } from '../targets/registry.ts'
import { untilInterrupted } from './interrupt.ts'
import { acceleratorOption, archOfName, archOption } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface RunOptions {
  readonly type?: RoleName
  readonly word: Readonly<Record<string, string>>
  readonly model: DeviceModelName
  readonly memory: number
  readonly cpus: number
  readonly grow: number
  readonly folder?: string
  readonly arch?: Arch
  readonly accelerator?: Accelerator
  readonly out: string
}

export function runCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .argument('<image>', 'qcow2, VHD, VHDX, VMDK, OVA or raw, or one of them as bz2, gz or zip')
    .addOption(
      new Option('--type <role>', 'role to hand over; without it, nothing is handed over').choices([
        ...roleNames,
      ]),
    )
    .option('--word <key=value>', 'add or replace a boot argument; may be repeated', parseWord, {})
    .addOption(
      new Option('--model <name>', 'devices of the machine')
        .choices(Object.keys(deviceModels))
        .default('virtio'),
    )
    .option('--memory <MiB>', 'memory of the machine', parsePositive, 512)
    .option('--cpus <count>', 'processors of the machine', parsePositive, 2)
    .option('--grow <MiB>', 'enlarge the disk by this much', parseCount, 0)
    .option(
      '--folder <folder>',
      'folder to keep its disk, key and sockets in; by default a temporary one',
      parseFolder,
    )
    .addOption(archOption())
    .addOption(acceleratorOption())
    .option('--out <folder>', 'output folder of builds, for what is cached about KVM', 'out')
    .action((file: string, options: RunOptions) => choose(() => run(file, options, terminal)))
}

async function run(file: string, options: RunOptions, terminal: Terminal): Promise<number> {
  const arch = options.arch ?? archOfName(file)
  await requireFit('run', { images: [{ arch }] })
  const out = outFolderAt(resolvePath(options.out))
  await requireOwnFolders(out)
  const { cache } = out
  if (options.folder !== undefined) await makeRunFolder(options.folder)
  const scratch = await createScratchFolder()
  const folder = options.folder ?? scratch.folder
  const say = (text: string) => terminal.error(`${text}\n`)
  try {
    return await untilInterrupted(async (signal) => {
      return withUnpacked(resolvePath(file), scratch.folder, signal, async (plain) => {
        const source = await locateDisk(plain, { signal })
        const acceleration = await chooseAccelerator({
          arch,
          kernels: await findKernels(cache.kernels),
          cacheDir: cache.path,
          force: options.accelerator,
          signal,
        })
        return runGuest({
          source,
          diskBytes: (await virtualSizeOf(source)) + options.grow * 1024 ** 2,
          model: options.model,
          acceleration,
          cpus: options.cpus,
          memoryMiB: options.memory,
          role: options.type,
          words: options.word,
          folder,
          onStart: ({ ssh, agentSocket, portSocket, qmpSocket }) => {
            say(`${source.file} on ${deviceModels[options.model].summary}; ${acceleration.reason}`)
            say(`  log in:       ssh ${ssh.join(' ')}`)
            say(`  guest agent:  ${agentSocket}`)
            say(`  .vport:       ${portSocket}`)
            say(`  QMP:          ${qmpSocket}`)
            say('  Press Control-A, then X to end it; Control-A, then H lists other keys.')
          },
          onDelivery: (text) => say(`\r\n[${text}]\r`),
          signal,
        })
      })
    })
  } finally {
    await scratch.remove()
  }
}

/** @throws PipelineError `usage` */
async function makeRunFolder(path: string): Promise<void> {
  await makeFolder(path).catch((cause: unknown) => {
    throw new PipelineError({
      code: 'usage',
      message: `cannot create the folder ${path}: ${reasonOf(cause)}`,
      hint: 'name another one with --folder.',
      exitCode: exitCodes.badInput,
      cause,
    })
  })
}

function parseCount(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, e.g. 512.')
  return Number(text)
}

function parsePositive(text: string): number {
  const count = parseCount(text)
  if (count === 0) throw new InvalidArgumentError('It must be at least 1.')
  return count
}

/** Refuses a folder whose path is too long for the sockets in it. */
function parseFolder(text: string): string {
  // Refused like any other empty option.
  if (text === '') return text
  const folder = resolvePath(text)
  const length = Math.max(...Object.values(socketsIn(folder)).map((path) => Buffer.byteLength(path)))
  if (length <= socketPathBytes) return folder
  throw new InvalidArgumentError(
    `The paths of its sockets would have ${length} bytes, but at most ${socketPathBytes} are possible: name a folder with a shorter path.`,
  )
}

function parseWord(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const [, key, value] = /^([\w.-]+)=(\S*)$/.exec(text) ?? []
  if (key === undefined || value === undefined) {
    throw new InvalidArgumentError('It must look like key=value, without spaces.')
  }
  return { ...before, [key]: value }
}
