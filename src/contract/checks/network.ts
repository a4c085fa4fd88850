/** Checks of the network that a machine sets up from its boot arguments, and of logging in over it. */

import { macOf } from '../../guest/machine.ts'
import { localGateway, managementNetwork } from '../../guest/roles.ts'
import { judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'

const addresses: SceneCheck = {
  id: 'C7',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage', 'port', 'virtualbox', 'router', 'dhcpsrvr', 'vpcrouter'],
  needs: 'taken',
  does: 'lists addresses and the default route',
  run: async ({ guest, bootArguments }) => {
    const found = await linesOf(
      guest,
      "ip -4 -o address show scope global; ip -4 -o address show scope link | grep -v ' lo '",
    )
    const has = found.map((line) => line.split(/\s+/))
    const faults = (bootArguments?.addresses ?? []).flatMap(({ address, prefixLength }, index) => {
      const own = has.filter(([, device]) => device === `eth${index}`).map((fields) => fields[3])
      return own.includes(`${address}/${prefixLength}`)
        ? []
        : [`eth${index} has ${own.join(' ') || 'no address'}, not ${address}/${prefixLength}`]
    })
    const routes = await linesOf(guest, 'ip -4 route show default')
    const { gateway } = bootArguments ?? {}
    const wanted = gateway === undefined ? '' : `default via ${gateway.address} dev ${gateway.interface}`
    const route = routes.map((line) => line.trim()).join(', ')
    if (gateway === undefined ? route !== '' : !(routes.length === 1 && route.startsWith(wanted)))
      faults.push(`${route || 'no default route'}, expected ${wanted || 'none'}`)
    const own = has.map((fields) => `${fields[1]} ${fields[3]}`).join(', ')
    return judge(faults, `${own}; ${route || 'no default route'}`)
  },
}

const interfacesFile: SceneCheck = {
  id: 'C8',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage'],
  needs: 'taken',
  does: 'reads /etc/network/interfaces and the rules that bind names to MAC addresses',
  run: async ({ guest, bootArguments }) => {
    const { stdout } = await guest.run('cat /etc/network/interfaces')
    const rules = (await guest.run('cat /etc/udev/rules.d/70-persistent-net.rules')).stdout.toLowerCase()
    const count = bootArguments?.addresses.length ?? 0
    const names = ['lo', ...Array.from({ length: count }, (_, index) => `eth${index}`)]
    const automatic = [...stdout.matchAll(/^auto (.*)$/gm)].flatMap(([, text = '']) => text.split(/\s+/))
    const faults = names.filter((each) => !automatic.includes(each)).map((each) => `${each} is not automatic`)
    bootArguments?.addresses.forEach(({ address }, index) => {
      const stanza = stdout.split(/^iface\s+/m).find((text) => text.startsWith(`eth${index} inet static`))
      if (!stanza?.includes(address)) faults.push(`no static stanza of eth${index}`)
      const rule = rules.split('\n').find((line) => line.includes(macOf(index)))
      if (!rule?.includes(`eth${index}`)) faults.push(`no rule binds ${macOf(index)} to eth${index}`)
    })
    return judge(faults, `auto ${automatic.join(' ')}`)
  },
}

const nameServers: SceneCheck = {
  id: 'C9',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage', 'port'],
  needs: 'taken',
  does: 'reads /etc/resolv.conf',
  run: async ({ guest, bootArguments }) => {
    const found = (await linesOf(guest, 'cat /etc/resolv.conf')).flatMap(
      (line) => /^nameserver (\S+)/.exec(line)?.[1] ?? [],
    )
    const wanted = bootArguments?.nameServers ?? []
    return judge(
      found.join() === wanted.join() ? [] : [`${found.join(' ') || 'none'}, not ${wanted.join(' ')}`],
      found.join(' '),
    )
  },
}

const key: SceneCheck = {
  id: 'C10',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage', 'port', 'router', 'vpcrouter', 'unknown-type', 'virtualbox', 'no-serial'],
  needs: 'taken',
  does: "logs in on 3922 of the control address with the key that was handed over, and reads the file's mode",
  run: async ({ guest, ssh }) => {
    const { exitCode, stdout, stderr } = await ssh('id -un', { withKey: true })
    const [mode = 'missing'] = await linesOf(guest, 'stat -c %a /root/.ssh/authorized_keys')
    const faults =
      exitCode === 0 && stdout.trim() === 'root' ? [] : [`SSH: ${stderr.trim().split('\n').at(-1)}`]
    if (!/^[0-7]00$/.test(mode)) faults.push(`authorized_keys has the mode ${mode}`)
    return judge(faults, `in as root, mode ${mode}`)
  },
}

const routes: SceneCheck = {
  id: 'C11',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage', 'port'],
  needs: 'taken',
  does: 'asks the kernel for the way to the management network and to the three private ranges',
  run: async ({ guest }) => {
    const targets = [managementNetwork.split('/')[0] as string, '10.200.0.1', '172.20.0.1', '192.168.200.1']
    const found = await linesOf(guest, targets.map((to) => `ip -4 route get ${to} | head -n 1`).join('\n'))
    const faults = targets.flatMap((to, index) =>
      found[index]?.includes(`via ${localGateway} dev eth1`)
        ? []
        : [`${found[index]?.trim() ?? `no way to ${to}`}`],
    )
    return judge(faults, `${targets.length} by ${localGateway}`)
  },
}

export const networkChecks: readonly SceneCheck[] = [addresses, interfacesFile, nameServers, key, routes]
