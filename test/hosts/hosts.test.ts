/**
 * Hosts as they are: a disk of which parts come late, damage, what the fstab asks for in vain, and a host that is gone in
 * the middle of first boot. Every time a router has to come up whose control SSH lets the management server in. Run by
 * `npm run test:hosts`, on the image of the last build or on the one that SYSTEMVM_TEST_IMAGE names.
 */

import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BlockNode } from '../../src/disk/block-node.ts'
import { parseFstab } from '../../src/disk/fstab.ts'
import { createScratchFolder, type ScratchFolder } from '../../src/host/scratch-folder.ts'
import { chooseAccelerator } from '../../src/qemu/accelerator.ts'
import { copyLastImage, type Offsets, outFolder } from '../support/last-image.ts'
import { pathOfTools } from '../support/path-of-tools.ts'
import { bootRouter, type Host, makeHost, type Router } from './router.ts'

const env = { PATH: pathOfTools, LC_ALL: 'C' }

let scratch: ScratchFolder
let folder: string
let image: string
let offsets: Offsets
let diskBytes: number
let host: Host

beforeAll(async () => {
  mkdirSync(outFolder, { recursive: true })
  folder = mkdtempSync(join(outFolder, 'hosts-'))
  scratch = await createScratchFolder()
  image = join(folder, 'image.raw')
  offsets = await copyLastImage(image)
  diskBytes = statSync(image).size
  const cacheDir = join(outFolder, 'cache')
  host = await makeHost(scratch.folder, await chooseAccelerator({ arch: 'x86_64', kernels: [], cacheDir }))
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await scratch.remove()
})

const raw = (filename: string): BlockNode => ({ driver: 'raw', file: { driver: 'file', filename } })

type FileSystem = keyof Offsets

async function read(on: FileSystem, path: string): Promise<string> {
  const { stdout } = await execa('debugfs', ['-R', `cat ${path}`, `${image}?offset=${offsets[on]}`], { env })
  return `${stdout}\n`
}

/** A copy of the image's disk, with requests to debugfs carried out on one of its file systems. */
async function changedDisk(on: FileSystem, requests: readonly string[]): Promise<BlockNode> {
  const disk = join(folder, 'changed.raw')
  await execa('cp', ['--sparse=always', '--reflink=auto', image, disk])
  await execa('debugfs', ['-w', '-f', '-', `${disk}?offset=${offsets[on]}`], {
    env,
    input: `${requests.join('\n')}\n`,
  })
  return raw(disk)
}

/** Requests that give a file another text. */
function writing(path: string, text: string): readonly string[] {
  const file = join(folder, 'text')
  writeFileSync(file, text)
  return [`rm ${path}`, `write ${file} ${path}`, `set_inode_field ${path} mode 0100644`]
}

/** Attaches a disk while the machine runs. */
async function attach({ qmp }: Router, name: string, file: string): Promise<void> {
  await qmp.execute('blockdev-add', { 'node-name': name, ...raw(file) })
  await qmp.execute('device_add', { driver: 'virtio-blk-pci', drive: name, id: `device-${name}` })
}

async function untilPrinted(router: Router, command: string, text: string, seconds: number): Promise<void> {
  let printed = ''
  for (
    const end = router.seconds() + seconds;
    router.seconds() < end && printed !== text;
    await sleep(1000)
  ) {
    printed = (await router.run(command)).stdout.trim()
  }
  expect(printed).toBe(text)
}

const failedUnits = 'systemctl list-units --state=failed --no-legend --plain'

it('does not wait for swap and /boot, and takes them when they come after two minutes', async () => {
  const late = { swap: '11111111-2222-4333-8444-555555555555', boot: '66666666-7777-4888-9999-aaaaaaaaaaaa' }
  const [swapFile, bootFile] = [join(folder, 'swap'), join(folder, 'boot')]
  for (const file of [swapFile, bootFile]) {
    writeFileSync(file, '')
    truncateSync(file, 64 * 1024 ** 2)
  }
  await execa('mkswap', ['--uuid', late.swap, swapFile], { env })
  await execa('mke2fs', ['-q', '-t', 'ext2', '-U', late.boot, bootFile], { env })
  const fstab = await read('root', '/etc/fstab')
  const mounts = parseFstab(fstab)
  const sourceOf = (is: (mount: (typeof mounts)[number]) => boolean) => mounts.find(is)?.source ?? 'none'
  const moved = fstab
    .replace(
      sourceOf(({ type }) => type === 'swap'),
      `UUID=${late.swap}`,
    )
    .replace(
      sourceOf(({ path }) => path === '/boot'),
      `UUID=${late.boot}`,
    )
  const router = await bootRouter(
    host,
    'late',
    await changedDisk('root', writing('/etc/fstab', moved)),
    diskBytes,
  )
  try {
    await router.bootArguments()
    await router.becomeReady()
    expect(await router.ssh('swapon --noheadings; findmnt --noheadings /boot || echo none')).toBe('none')
    await sleep(Math.max(0, 120 - router.seconds()) * 1000)
    await attach(router, 'swap', swapFile)
    await attach(router, 'boot', bootFile)
    const asked = 'swapon --noheadings --show=UUID; findmnt --noheadings --output UUID /boot'
    await untilPrinted(router, asked, `${late.swap}\n${late.boot}`, host.limit(20))
    await untilPrinted(router, 'systemctl is-system-running', 'running', host.limit(20))
  } finally {
    await router.close()
  }
})

it('repairs a damaged root by itself', async () => {
  // A folder's inode is gone: its files have no name any more, which e2fsck mends only where it may answer itself.
  const damaged = await changedDisk('root', ['clri /usr/share/zoneinfo/Pacific'])
  const router = await bootRouter(host, 'damaged', damaged, diskBytes)
  try {
    await router.bootArguments()
    await router.becomeReady()
    const log = await router.ssh('cat /run/initramfs/fsck.log')
    expect(log).toContain('Unattached inode')
    expect(log).toContain('FILE SYSTEM WAS MODIFIED')
    expect(await router.ssh('findmnt --noheadings --output OPTIONS /')).toMatch(/^rw,/)
    expect(await router.ssh(failedUnits)).toBe('')
  } finally {
    await router.close()
  }
})

it('goes on where the fstab asks for something in vain, and starts again where systemd crashes', async () => {
  const vain = 'UUID=00000000-1111-4222-8333-444444444444 /srv ext4 x-systemd.device-timeout=5s 0 2\n'
  const fstab = (await read('root', '/etc/fstab')) + vain
  const disk = await changedDisk('root', writing('/etc/fstab', fstab))
  const router = await bootRouter(host, 'vain', disk, diskBytes)
  try {
    await router.bootArguments()
    await router.becomeReady()
    expect(await router.ssh('systemctl is-active local-fs.target emergency.target || :')).toBe(
      'inactive\ninactive',
    )
    // QEMU ends where the machine starts again.
    await router.run('kill -SEGV 1').catch(() => undefined)
    expect(await router.hasEnded(host.limit(30))).toBe(true)
  } finally {
    await router.close()
  }
})

it('starts again where the initramfs finds no root', async () => {
  const menu = await read('boot', '/grub/grub.cfg')
  const elsewhere = menu.replace(/root=UUID=\S+/g, 'root=UUID=00000000-1111-4222-8333-444444444444')
  const disk = await changedDisk('boot', writing('/grub/grub.cfg', elsewhere))
  const router = await bootRouter(host, 'rootless', disk, diskBytes)
  try {
    expect(await router.hasEnded(host.limit(60) + 60), await router.console()).toBe(true)
    expect(await router.console()).toContain('Rebooting automatically')
  } finally {
    await router.close()
  }
})

it('comes up after its host was gone in the middle of first boot, whatever first boot was at', async () => {
  const first = await bootRouter(host, 'first', raw(image), diskBytes)
  await first.waitForAgent(host.limit(60) + 60, host.limit(10))
  const saved = await first.save()
  for (const unit of ['cloud-preinit', 'cloud-early-config', 'cloud-postinit']) {
    const killed = await bootRouter(host, `killed-${unit}`, saved, diskBytes)
    await killed.bootArguments()
    const state = `systemctl show --property ActiveState --value ${unit}`
    const isAtWork = async () => /^(activating|active)$/m.test((await killed.run(state)).stdout)
    for (const end = killed.seconds() + host.limit(60); !(await isAtWork()); await sleep(100)) {
      expect(killed.seconds(), `${unit} has not started`).toBeLessThan(end)
    }
    await killed.close()
    const again = await bootRouter(host, `after-${unit}`, killed.disk, diskBytes)
    try {
      await again.bootArguments()
      await again.becomeReady()
      expect(await again.ssh(failedUnits), unit).toBe('')
    } finally {
      await again.close()
    }
  }
})
