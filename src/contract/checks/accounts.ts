/** Checks who can log in: accounts, passwords, and keys. Boots nothing. */

import { type ImageFiles, readText } from '../../disk/image-files.ts'
import { type ContentCheck, failed, judge } from '../check.ts'
import { matchesPassword } from '../crypt.ts'

/** Passwords published in CloudStack's documentation, its build scripts and their forks. */
const knownPasswords = ['password', 'cloud', 'root', 'systemvm', 'cloudstack', 'admin', 'changeit', '']

/** More accounts with a password, and more homes, than any system virtual machine has. */
const mostHashes = 10
const mostHomes = 200

export const account: ContentCheck = {
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

export const rootPassword: ContentCheck = {
  id: 'F3',
  group: 'hygiene',
  at: 'content',
  does: 'tries the known passwords on every hash, and reads the user ids in /etc/passwd',
  run: async ({ files }) => {
    const users = await readFields(files, '/etc/passwd')
    const shadow = await readFields(files, '/etc/shadow')
    const faults: string[] = []
    const hashes = new Map<string, readonly string[]>()
    for (const [name, [, password = '', uid = '']] of users) {
      if (Number(uid) === 0 && name !== 'root') faults.push(`${name} has root's user id`)
      const hash = password === 'x' ? shadow.get(name)?.[1] : password
      // Without an entry in /etc/shadow nobody logs in.
      if (hash !== undefined && !isLocked(hash)) hashes.set(hash, [...(hashes.get(hash) ?? []), name])
    }
    // Each can take the whole time of a trial.
    if (hashes.size > mostHashes) return failed(`${hashes.size} passwords, of which none should be there`)
    for (const [hash, names] of hashes) {
      const known = await matchesPassword(hash, knownPasswords)
      if (known !== undefined) faults.push(`the password of ${names[0]} is ${JSON.stringify(known)}`)
    }
    return judge(faults, `root has ${describeHash(shadow.get('root')?.[1] ?? '!')}`)
  },
}

export const accountLocked: ContentCheck = {
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

export const rootKeys: ContentCheck = {
  id: 'F6',
  group: 'hygiene',
  at: 'content',
  does: 'reads the authorized keys in every home',
  run: async ({ files, expected }) => {
    const users = [...(await readFields(files, '/etc/passwd'))].filter(([name]) => name !== expected.account)
    const homes = new Set(
      ['/root', ...users.map(([, fields]) => fields[5] ?? '')].filter((home) => home !== ''),
    )
    if (homes.size > mostHomes) return failed(`${homes.size} homes; the limit is ${mostHomes}`)
    const keys: string[] = []
    for (const home of homes) keys.push(...(await keysOf(files, home)))
    return judge(keys, 'none')
  },
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

// --- internal ---

/** Lines of colon-separated fields, keyed by the first. Of lines with the same key, the C library takes the first. */
async function readFields(files: ImageFiles, path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = (await readText(files, path)) ?? ''
  const lines = text.split('\n').flatMap((line) => (line === '' ? [] : [line.split(':')]))
  return new Map(lines.reverse().map((fields) => [fields[0] ?? '', fields]))
}

const isLocked = (hash: string) => /^[!*]/.test(hash)

function describeHash(hash: string): string {
  if (hash === '') return 'an empty password'
  return isLocked(hash) ? 'no password' : `a password (${/^\$(\w+)\$/.exec(hash)?.[1] ?? 'DES'})`
}
