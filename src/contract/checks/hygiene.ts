/** Checks of what must not be on the disk, and of who may get in. Read without booting anything. */

import { createHash } from 'node:crypto'
import { type ContentCheck, failed, judge, passed } from '../check.ts'
import { matchesPassword } from '../crypt.ts'
import type { Expected } from '../expected.ts'
import { type ImageFiles, namesIn, readText } from '../image-files.ts'

const leftovers: ContentCheck = {
  id: 'A7',
  group: 'hygiene',
  at: 'content',
  does: 'looks for leases, interface rules and /usr/share/doc',
  run: async ({ files }) => {
    const faults: string[] = []
    for (const path of ['/etc/udev/rules.d/70-persistent-net.rules', '/usr/share/doc'])
      if ((await files.stat(path)) !== undefined) faults.push(path)
    for (const folder of ['/var/lib/dhcp', '/var/lib/dhcpcd'])
      faults.push(...(await namesIn(files, folder)).map((name) => `${folder}/${name}`))
    return judge(faults, 'none')
  },
}

const secretName = /^ssh_host_.*|^id_(rsa|ecdsa|ed25519)$|\.(key|pem)$/
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----/

const secrets: ContentCheck = {
  id: 'A12',
  group: 'hygiene',
  at: 'content',
  does: 'looks for private keys, histories, package lists, logs of the installer, and scripts of the build',
  run: async ({ files }) => {
    const faults: string[] = []
    for (const folder of ['/etc/ssl/private', '/root', '/root/.ssh', '/etc/apache2']) {
      for (const { name, type } of await files.list(folder)) {
        const path = `${folder}/${name}`
        // Of SSH host keys F1 tells.
        if (type !== 'file' || !secretName.test(name)) continue
        if (privateKey.test((await readText(files, path)) ?? '')) faults.push(`the private key ${path}`)
      }
    }
    for (const path of [
      '/root/.bash_history',
      '/usr/sbin/policy-rc.d',
      '/var/log/installer',
      '/var/lib/systemd/random-seed',
    ])
      if ((await files.stat(path)) !== undefined) faults.push(path)
    for (const folder of ['/tmp', '/var/tmp'])
      faults.push(
        ...(await namesIn(files, folder))
          .filter((name) => name !== 'lost+found')
          .map((name) => `${folder}/${name}`),
      )
    const lists = await namesIn(files, '/var/lib/apt/lists')
    if (lists.some((name) => name.includes('_dists_'))) faults.push('package lists in /var/lib/apt/lists')
    const debs = await namesIn(files, '/var/cache/apt/archives')
    if (debs.some((name) => name.endsWith('.deb'))) faults.push('packages in /var/cache/apt/archives')
    return judge(faults, 'none')
  },
}

/** Passwords that CloudStack's documentation, its build scripts and their forks have printed. */
const knownPasswords = ['password', 'cloud', 'root', 'systemvm', 'cloudstack', 'admin', 'changeit', '']

const account: ContentCheck = {
  id: 'A13',
  group: 'hygiene',
  at: 'content',
  does: 'reads passwd, group and shadow, and tries the known passwords',
  run: async ({ files, expected }) => {
    const name = expected.account
    const users = await readFields(files, '/etc/passwd')
    if (!users.has(name)) return failed(`there is no account ${name}`)
    const members = (await readFields(files, '/etc/group')).get('admin')?.[3]?.split(',') ?? []
    const faults = members.includes(name) ? [] : [`${name} is not in the group admin`]
    const hash = (await readFields(files, '/etc/shadow')).get(name)?.[1] ?? ''
    const known = await matchesPassword(hash, knownPasswords)
    if (known !== undefined) faults.push(`its password is ${JSON.stringify(known)}`)
    return judge(faults, `${name} in admin, ${describeHash(hash)}`)
  },
}

const allowedCommands = new Set(['chmod', 'cp', 'mkdir', 'mount', 'umount', 'halt'])

const sudo: ContentCheck = {
  id: 'A14',
  group: 'hygiene',
  at: 'content',
  does: 'reads sudoers and all of its folder, and resolves the aliases of commands',
  run: async ({ files }) => {
    const names = await namesIn(files, '/etc/sudoers.d')
    // sudo itself skips these.
    const parts = names.filter((name) => !name.includes('.') && !name.endsWith('~'))
    const paths = ['/etc/sudoers', ...parts.map((name) => `/etc/sudoers.d/${name}`)]
    const texts = await Promise.all(paths.map((path) => readText(files, path)))
    const lines = texts.flatMap((text) => (text ?? '').replaceAll('\\\n', ' ').split('\n'))
    const aliases = new Map(
      lines.flatMap((line) => {
        const match = /^\s*Cmnd_Alias\s+(\w+)\s*=\s*(.*)$/.exec(line)
        return match === null ? [] : [[match[1] ?? '', splitList(match[2] ?? '')] as const]
      }),
    )
    const free = lines.flatMap((line) => {
      const match = /^\s*([^#\s]\S*)\s+.*\bNOPASSWD:\s*(.*)$/.exec(line)
      if (match === null) return []
      const commands = splitList(match[2] ?? '').flatMap((word) => aliases.get(word) ?? [word])
      return [{ who: match[1] ?? '', commands }]
    })
    const faults = free.flatMap(({ who, commands }) =>
      commands
        .filter(
          (command) => !allowedCommands.has(command.split('/').at(-1) ?? '') || !command.startsWith('/'),
        )
        .map((command) => `${who} may run ${command}`),
    )
    return judge(
      faults,
      free.map(({ who, commands }) => `${who}: ${commands.join(' ')}`).join('; ') || 'nobody',
    )
  },
}

const splitList = (text: string) => text.split(',').map((word) => word.trim())

const cloudInit: ContentCheck = {
  id: 'B11',
  group: 'hygiene',
  at: 'content',
  does: 'looks for what keeps the generator from pulling it in: a mask, or /etc/cloud/cloud-init.disabled',
  run: async ({ files }) => {
    const generator = await files.stat('/etc/systemd/system-generators/cloud-init-generator')
    if (generator?.target === '/dev/null') return passed('its generator is masked')
    return (await files.stat('/etc/cloud/cloud-init.disabled')) === undefined
      ? failed('its generator is not masked, and there is no /etc/cloud/cloud-init.disabled')
      : passed('/etc/cloud/cloud-init.disabled')
  },
}

const hostKeys: ContentCheck = {
  id: 'F1',
  group: 'hygiene',
  at: 'content',
  does: 'looks for host keys in /etc/ssh',
  run: async ({ files }) => {
    const keys = (await namesIn(files, '/etc/ssh')).filter((name) => name.startsWith('ssh_host_'))
    return judge(keys, 'none')
  },
}

const machineId: ContentCheck = {
  id: 'F2',
  group: 'hygiene',
  at: 'content',
  does: 'reads /etc/machine-id, and the copy of dbus',
  run: async ({ files }) => {
    const text = await readText(files, '/etc/machine-id')
    const dbus = await files.stat('/var/lib/dbus/machine-id')
    const faults = (text ?? '').trim() === '' ? [] : [`it is ${JSON.stringify(text?.trim())}`]
    if (dbus !== undefined && dbus.type !== 'link') faults.push('dbus has one of its own')
    return judge(faults, text === undefined ? 'absent' : 'empty')
  },
}

const rootPassword: ContentCheck = {
  id: 'F3',
  group: 'hygiene',
  at: 'content',
  does: "tries the known passwords on root's hash in /etc/shadow",
  run: async ({ files }) => {
    const hash = (await readFields(files, '/etc/shadow')).get('root')?.[1] ?? ''
    const known = await matchesPassword(hash, knownPasswords)
    return known === undefined
      ? passed(describeHash(hash))
      : failed(`the password is ${JSON.stringify(known)}`)
  },
}

const accountLocked: ContentCheck = {
  id: 'F4',
  group: 'hygiene',
  at: 'content',
  does: "reads the account's entry in /etc/shadow, and its authorized keys",
  run: async ({ files, expected }) => {
    const hash = (await readFields(files, '/etc/shadow')).get(expected.account)?.[1] ?? ''
    const faults = isLocked(hash) ? [] : [`it has ${describeHash(hash)}`]
    faults.push(...(await keysOf(files, `/home/${expected.account}`)))
    return judge(faults, `${describeHash(hash)}, no key`)
  },
}

const rootKeys: ContentCheck = {
  id: 'F6',
  group: 'hygiene',
  at: 'content',
  does: "reads root's authorized keys",
  run: async ({ files }) => judge(await keysOf(files, '/root'), 'none'),
}

async function keysOf(files: ImageFiles, home: string): Promise<string[]> {
  const found: string[] = []
  for (const name of ['authorized_keys', 'authorized_keys2']) {
    const text = (await readText(files, `${home}/.ssh/${name}`)) ?? ''
    const keys = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
    found.push(...keys.map((key) => `a key in ${home}/.ssh/${name}: ${key.split(' ').slice(-1)[0]}`))
  }
  return found
}

const resolver: ContentCheck = {
  id: 'G9',
  group: 'hygiene',
  at: 'content',
  does: 'reads /etc/resolv.conf',
  run: async ({ files }) => {
    const text = (await readText(files, '/etc/resolv.conf')) ?? ''
    return judge(text.match(/^\s*nameserver\s+\S+/gm) ?? [], 'none')
  },
}

/** Folders of programs. What is in `/usr/local` and `/opt` is CloudStack's own. */
const programFolders = ['/usr/bin', '/usr/sbin', '/usr/libexec']

const packages: ContentCheck = {
  id: 'F5',
  group: 'hygiene',
  at: 'content',
  does: 'looks for programs in /usr/bin, /usr/sbin and /usr/libexec that no package has brought, and compares sums of those that were named',
  run: async ({ files, expected }) => {
    const lists = (await namesIn(files, '/var/lib/dpkg/info')).filter((name) => name.endsWith('.list'))
    const texts = await files.readAll(lists.map((name) => `/var/lib/dpkg/info/${name}`))
    // Packages from before the merge of /bin into /usr/bin list their files in the old place.
    const owned = new Set(
      [...texts.values()].flatMap((text) =>
        text
          .toString()
          .split('\n')
          .map((path) => path.replace(/^\/(s?bin)\//, '/usr/$1/')),
      ),
    )
    const diverted = (await readText(files, '/var/lib/dpkg/diversions')) ?? ''
    for (const path of diverted.split('\n')) owned.add(path.replace(/^\/(s?bin)\//, '/usr/$1/'))
    const foreign: string[] = []
    const named: string[] = []
    let count = 0
    for (const folder of programFolders) {
      for (const { name, type, target } of await files.list(folder)) {
        const path = `${folder}/${name}`
        // Alternatives are links of dpkg's own, and no package lists them.
        if (type === 'folder' || target?.startsWith('/etc/alternatives/')) continue
        count += 1
        if (owned.has(path)) continue
        const source = await sourceOf(files, path, expected)
        if (source === undefined) foreign.push(path)
        else named.push(`${path} from ${source}`)
      }
    }
    if (lists.length === 0) return failed('there is no list of packages')
    return judge(foreign, [`${count} programs of ${lists.length} packages`, ...named].join(', '))
  },
}

// --- internal ---

/** Where the pipeline said to have a program from, if its bytes are those that were meant. */
async function sourceOf(
  files: ImageFiles,
  path: string,
  { downloads = [] }: Expected,
): Promise<string | undefined> {
  const bytes = downloads.length === 0 ? undefined : await files.read(path)
  return downloads.find(
    ({ sum }) =>
      bytes !== undefined &&
      sum !== undefined &&
      createHash(sum.algorithm).update(bytes).digest('hex') === sum.hex,
  )?.location
}

/** Lines of fields divided by colons, by their first field. */
async function readFields(files: ImageFiles, path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = (await readText(files, path)) ?? ''
  return new Map(
    text
      .split('\n')
      .map((line) => line.split(':'))
      .map((fields) => [fields[0] ?? '', fields]),
  )
}

const isLocked = (hash: string) => /^[!*]/.test(hash)

function describeHash(hash: string): string {
  if (hash === '') return 'an empty password'
  return isLocked(hash) ? 'no password' : `a password (${/^\$(\w+)\$/.exec(hash)?.[1] ?? 'DES'})`
}

export const hygieneChecks: readonly ContentCheck[] = [
  leftovers,
  secrets,
  account,
  sudo,
  cloudInit,
  hostKeys,
  machineId,
  rootPassword,
  accountLocked,
  packages,
  rootKeys,
  resolver,
]
