/**
 * Images that are broken on purpose, each in one way, and the checks that must find it: those and no others. What can be
 * read without booting takes seconds each; the last ones boot. Run by `npm run test:breakages`, on the image of the last
 * build or on the one that SYSTEMVM_TEST_IMAGE names.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultPipeline, loadPipeline } from '../../src/config/load.ts'
import { type Expected, expectationsOf } from '../../src/contract/expected.ts'
import { contentChecksOf } from '../../src/contract/registry.ts'
import type { SceneName } from '../../src/contract/scenes.ts'
import { locateDisk } from '../../src/disk/disk-source.ts'
import { type AcceleratorChoice, chooseAccelerator } from '../../src/qemu/accelerator.ts'
import { guestSlots } from '../../src/verify/guest-slots.ts'
import { openImageFiles } from '../../src/verify/open-image-files.ts'
import { verifyImage } from '../../src/verify/verify-image.ts'
import { copyLastImage, type Offsets, outFolder } from '../support/last-image.ts'
import { pathOfTools } from '../support/path-of-tools.ts'

const env = { PATH: pathOfTools, LC_ALL: 'C' }
const signal = new AbortController().signal

let folder: string
let disk: string
let offsets: Offsets
let expected: Expected
let acceleration: AcceleratorChoice

beforeAll(async () => {
  // Beside the image, where there is room; what is made is sparse.
  mkdirSync(outFolder, { recursive: true })
  folder = mkdtempSync(join(outFolder, 'breakages-'))
  const { images } = await loadPipeline(defaultPipeline, [])
  const [image] = images
  if (image === undefined) throw new Error('the pipeline has no image')
  expected = expectationsOf(image)
  disk = join(folder, 'disk.raw')
  offsets = await copyLastImage(disk)
  acceleration = await chooseAccelerator({ arch: 'x86_64', kernels: [], cacheDir: join(outFolder, 'cache') })
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** One change to a file system; `/boot` is one of its own. */
type Change =
  | { readonly write: string; readonly text: string; readonly mode?: string }
  | { readonly edit: string; readonly from: RegExp | string; readonly to: string }
  | { readonly mode: string; readonly of: string }
  | { readonly remove: string }
  | { readonly removeFolder: string }
  | { readonly makeFolder: string }
  | { readonly link: string; readonly to: string }
  | { readonly reservedBlocks: number }

interface FileSystem {
  readonly offset: number
  /** A path as it is in there. */
  readonly inside: (path: string) => string
}

function fileSystemOf(changes: readonly Change[]): FileSystem {
  const isBoot = changes.some((change) => 'edit' in change && change.edit.startsWith('/boot/'))
  return isBoot
    ? { offset: offsets.boot, inside: (path) => path.replace(/^\/boot/, '') }
    : { offset: offsets.root, inside: (path) => path }
}

async function debugfs({ offset }: FileSystem, requests: readonly string[], undo?: string): Promise<string> {
  const flags = undo === undefined ? [] : ['-w', '-z', undo]
  const { stdout, stderr } = await execa('debugfs', [...flags, '-f', '-', `${disk}?offset=${offset}`], {
    env,
    input: `${requests.join('\n')}\n`,
    stripFinalNewline: false,
  })
  const complaints = stderr
    .split('\n')
    .filter((said) => said !== '' && !/^debugfs \d|^Overwriting existing filesystem|e2undo/.test(said))
  expect(complaints).toEqual([])
  return stdout.replace(/^debugfs: .*\n/, '')
}

/** What a request prints; a complaint is nothing. */
async function debugfsSays({ offset }: FileSystem, request: string): Promise<string> {
  const { stdout } = await execa('debugfs', ['-R', request, `${disk}?offset=${offset}`], { env })
  return stdout
}

async function requestsFor(change: Change, on: FileSystem, index: number): Promise<readonly string[]> {
  const writing = (path: string, text: string, mode: string) => {
    const source = join(folder, `file-${index}`)
    writeFileSync(source, text)
    return [`write ${source} ${path}`, `set_inode_field ${path} mode 0${mode}`]
  }
  if ('write' in change) {
    const { write, text, mode = '100644' } = change
    const isThere = (await debugfsSays(on, `stat ${write}`)).includes('Inode:')
    return [...(isThere ? [`rm ${write}`] : []), ...writing(write, text, mode)]
  }
  if ('edit' in change) {
    const path = on.inside(change.edit)
    const before = await debugfs(on, [`cat ${path}`])
    const after = before.replace(change.from, change.to)
    expect(after, `${change.edit} has nothing to change`).not.toBe(before)
    const mode = /Mode: +(\d+)/.exec(await debugfsSays(on, `stat ${path}`))?.[1] ?? '0644'
    return [`rm ${path}`, ...writing(path, after, `10${mode}`)]
  }
  if ('of' in change) return [`set_inode_field ${change.of} mode 0${change.mode}`]
  if ('remove' in change) return [`rm ${change.remove}`]
  if ('removeFolder' in change) return [`rmdir ${change.removeFolder}`]
  if ('makeFolder' in change) return [`mkdir ${change.makeFolder}`]
  if ('link' in change) return [`symlink ${change.link} ${change.to}`]
  return [`set_super_value r_blocks_count ${change.reservedBlocks}`]
}

/** Makes changes, looks, and takes them back. */
async function broken<Result>(changes: readonly Change[], look: () => Promise<Result>): Promise<Result> {
  const on = fileSystemOf(changes)
  const undo = join(folder, 'undo')
  for (const file of [undo, `${undo}-2`]) rmSync(file, { force: true })
  const requests: string[] = []
  for (const [index, change] of changes.entries()) requests.push(...(await requestsFor(change, on, index)))
  await debugfs(on, requests, undo)
  try {
    return await look()
  } finally {
    const isOfSuperblock = changes.some((change) => 'reservedBlocks' in change)
    // What is undone are blocks; the superblock is none of them.
    if (isOfSuperblock) await debugfs(on, ['set_super_value r_blocks_count 0'], `${undo}-2`)
    else await execa('e2undo', ['-o', `${on.offset}`, undo, disk], { env })
  }
}

/** Ids of the checks of the content that fail. */
async function contentFailures(): Promise<string[]> {
  const files = await openImageFiles(await locateDisk(disk), folder, signal)
  try {
    const found: string[] = []
    for (const check of contentChecksOf('cloudstack')) {
      if ((await check.run({ files, expected })).status === 'failed') found.push(check.id)
    }
    return found
  } finally {
    await files.close()
  }
}

const machine = { cpus: 2, memoryMiB: 512, routers: { cpus: 1, memoryMiB: 256 } }

/** Ids of the checks of scenes that fail, each with what was observed. */
async function sceneFailures(scenes: readonly SceneName[]): Promise<Record<string, string>> {
  const { checks } = await verifyImage({
    file: disk,
    target: 'kvm',
    sha256: '',
    expected,
    contentOf: 'nothing',
    acceleration,
    machine,
    scenes,
    screenshotFolder: folder,
    outFolder,
    onCheck: () => undefined,
    onScenes: () => undefined,
    slots: guestSlots(acceleration.accelerator, machine),
    signal,
  })
  const failed = checks.filter(({ at, status }) => at !== 'file' && status === 'failed')
  return Object.fromEntries(failed.map(({ id, observed }) => [id, observed]))
}

const line = (text: string) => `${text}\n`
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFy2n7xQ dev@example.org'
/** SHA-512 of "password", and one that nobody knows the password of. */
const traditional =
  '$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.'
const unknown = `$6$salt$${'A'.repeat(86)}`

describe('the image as it is', () => {
  it('has nothing to find', async () => {
    expect(await contentFailures()).toEqual([])
  })
})

describe('without booting', () => {
  it.each<[string, readonly Change[], string[]]>([
    [
      'a boot menu that waits 5 s',
      [{ edit: '/boot/grub/grub.cfg', from: /set timeout=0/g, to: 'set timeout=5' }],
      ['A6'],
    ],
    ['interfaces called ens3', [{ edit: '/boot/grub/grub.cfg', from: /net\.ifnames=0 /g, to: '' }], ['A6']],
    [
      "root's traditional password",
      [{ edit: '/etc/shadow', from: /^root:[^:]*/m, to: `root:${traditional}` }],
      ['F3'],
    ],
    [
      'a password of the account',
      [{ edit: '/etc/shadow', from: /^cloud:[^:]*/m, to: `cloud:${unknown}` }],
      ['F4'],
    ],
    [
      'the account out of its group',
      [{ edit: '/etc/group', from: /^(admin:.*):cloud$/m, to: '$1:' }],
      ['A13'],
    ],
    [
      'all commands without a password',
      [{ write: '/etc/sudoers.d/cloud', text: line('cloud ALL=(ALL) NOPASSWD: ALL') }],
      ['A14'],
    ],
    ['baked-in host keys', [{ write: '/etc/ssh/ssh_host_ed25519_key', text: line('key') }], ['F1']],
    ['a kept machine id', [{ write: '/etc/machine-id', text: line('0123456789abcdef'.repeat(2)) }], ['F2']],
    [
      'another root, without a password',
      [{ edit: '/etc/passwd', from: /$/, to: line('toor::0:0::/root:/bin/bash') }],
      ['F3'],
    ],
    [
      'sudo that asks for no password',
      [{ write: '/etc/sudoers.d/more', text: line('Defaults !authenticate') }],
      ['A14'],
    ],
    [
      "a service's key",
      [{ makeFolder: '/var/www/.ssh' }, { write: '/var/www/.ssh/authorized_keys', text: line(key) }],
      ['F6'],
    ],
    ["a developer's key", [{ write: '/root/.ssh/authorized_keys', text: line(key) }], ['F6']],
    [
      'a private key',
      [{ write: '/root/.ssh/id_rsa', text: line('-----BEGIN OPENSSH PRIVATE KEY-----') }],
      ['A12'],
    ],
    [
      'a module that the kernel lacks',
      [{ write: '/etc/modules-load.d/old.conf', text: line('nf_conntrack_ipv4') }],
      ['G7'],
    ],
    ['no time zone', [{ remove: '/usr/share/zoneinfo/Etc/UTC' }], ['G14']],
    [
      'a program of the payload without its mode',
      [{ mode: '100644', of: '/opt/cloud/bin/get_template_version.sh' }],
      ['A11'],
    ],
    ['a resolver', [{ write: '/etc/resolv.conf', text: line('nameserver 8.8.8.8') }], ['G9']],
    ['reserved blocks', [{ reservedBlocks: 1000 }], ['A5']],
    ['documentation', [{ makeFolder: '/usr/share/doc' }], ['A7']],
    ['another release', [{ edit: '/etc/cloudstack-release', from: 'Release ', to: 'Release 4.0.' }], ['A8']],
    [
      'another signature',
      [{ edit: '/var/cache/cloud/cloud-scripts-signature', from: /^../, to: 'zz' }],
      ['A9'],
    ],
    ['no folder for TFTP', [{ removeFolder: '/opt/tftpboot' }], ['A10']],
    ['cloud-init', [{ remove: '/etc/systemd/system-generators/cloud-init-generator' }], ['B11']],
    ['cloud-init in part', [{ remove: '/usr/lib/systemd/system/cloud-final.service' }], ['B14']],
    ['no routing tables', [{ remove: '/etc/iproute2/rt_tables' }], ['A15']],
    ["plug-ins in Debian's folder", [{ remove: '/usr/lib/cni' }], ['A16']],
    ["Debian's place of Hyper-V alone", [{ remove: '/var/opt/hyperv' }], ['A17']],
    [
      'listed folders',
      [{ edit: '/etc/apache2/conf-available/systemvm-web.conf', from: 'Options ', to: 'Options Indexes ' }],
      ['A18'],
    ],
    ['no ntp', [{ remove: '/etc/systemd/system/ntp.service' }], ['B15']],
    ['no dhclient', [{ remove: '/usr/sbin/dhclient' }], ['B16']],
    ['a role without its firewall', [{ remove: '/etc/iptables/iptables-ilbvm' }], ['D8']],
    ['no xenstore-read', [{ remove: '/usr/bin/xenstore-read' }], ['E1']],
    ['a program from nowhere', [{ write: '/usr/bin/vhd-util', text: 'elf', mode: '100755' }], ['F5']],
  ])('%s is found by one check', async (_case, changes, ids) => {
    expect(await broken(changes, contentFailures)).toEqual(ids)
  })

  it('swap behind the root is found by one check', async () => {
    const dump = (await execa('sfdisk', ['--dump', disk], { env })).stdout
    const table = (text: string) => execa('sfdisk', ['--no-reread', '--quiet', disk], { env, input: text })
    const lines = dump.split('\n')
    const [swap = '', root = ''] = lines.slice(-2)
    const nodes = [swap, root].map((text) => text.split(' : ')[0] ?? '')
    const swapped = [
      root.replace(nodes[1] ?? '', nodes[0] ?? ''),
      swap.replace(nodes[0] ?? '', nodes[1] ?? ''),
    ]
    try {
      await table([...lines.slice(0, -2), ...swapped].join('\n'))
      expect(await contentFailures()).toEqual(['A4'])
    } finally {
      await table(dump)
    }
  })
})

describe('by booting', () => {
  it('a guest agent that is not there is found by one check', async () => {
    const changes: Change[] = [{ remove: '/usr/sbin/qemu-ga' }]
    expect(Object.keys(await broken(changes, () => sceneFailures(['secstorage'])))).toEqual(['C1'])
  })

  it('a unit that fails, values that a shell acts on, sshd on 22, and swap that comes back are found by their checks', async () => {
    const unit = '[Service]\nType=oneshot\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n'
    const changes: Change[] = [
      { write: '/etc/systemd/system/broken.service', text: unit },
      {
        link: '/etc/systemd/system/multi-user.target.wants/broken.service',
        to: '/etc/systemd/system/broken.service',
      },
      { edit: '/etc/ssh/sshd_config.d/systemvm.conf', from: 'Port 3922', to: 'Port 22' },
      {
        edit: '/opt/cloud/lib/systemvm/arguments.py',
        from: /^def parse\(.*\n/m,
        to: '$&    import os; [os.system("echo " + word) for word in text.split()]\n',
      },
      { edit: '/etc/udev/rules.d/80-systemvm-swap.rules', from: 'ACTION=="add", ', to: '' },
    ]
    const found = await broken(changes, () => sceneFailures(['secstorage']))
    expect(Object.keys(found).sort(), JSON.stringify(found, null, 2)).toEqual([
      'B3',
      'C10',
      'G1',
      'G10',
      'G8',
    ])
  })

  it('a node that gives its address away with its DHCP client is found by one check', async () => {
    const changes: Change[] = [
      {
        edit: '/opt/cloud/lib/systemvm/node.py',
        from: /^( +)code, output = machine\.run\('dhclient'.*\n/m,
        to: "$&$1machine.run('dhclient', '-x', 'eth0')\n",
      },
    ]
    const found = await broken(changes, () => sceneFailures(['sharedfsvm']))
    expect(Object.keys(found), JSON.stringify(found, null, 2)).toEqual(['D11'])
  })

  it('a port that is opened by its number is found where the agent is numbered before it', async () => {
    const changes: Change[] = [
      {
        edit: '/opt/cloud/lib/systemvm/kvm.py',
        from: "if name.endswith('.vport'):",
        to: "if os.path.realpath(self.machine.path(f'{PORTS}/{name}')).endswith('p1'):",
      },
    ]
    const found = await broken(changes, () => sceneFailures(['port-second']))
    expect(Object.keys(found), JSON.stringify(found, null, 2)).toEqual(['C3'])
  })
})
