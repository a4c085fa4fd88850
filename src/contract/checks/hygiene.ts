/** Checks for data that must not be on the disk. Boots nothing. */

import { namesIn, readText } from '../../disk/image-files.ts'
import { type ContentCheck, failed, judge, passed } from '../check.ts'
import { account, accountLocked, rootKeys, rootPassword } from './accounts.ts'
import { packages } from './foreign-programs.ts'
import { sudo } from './sudo.ts'

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
        // F1 reports SSH host keys.
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

const resolver: ContentCheck = {
  id: 'G9',
  group: 'hygiene',
  at: 'content',
  does: 'reads /etc/resolv.conf',
  run: async ({ files }) => {
    const text = (await readText(files, '/etc/resolv.conf')) ?? ''
    return judge(text.match(/^[ \t]*nameserver[ \t]+\S+/gm) ?? [], 'none')
  },
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
