/** Checks of how a machine learns what it is, and of what it makes of it. */

import { failed, judge, passed, type SceneCheck, skipped } from '../check.ts'
import { macOf } from '../device-models.ts'
import { localGateway, managementNetwork, renderCommandLine, trapFile } from '../hand-over.ts'
import type { SceneName } from '../scenes.ts'
import { linesOf } from './boot.ts'

/** Scenes with a full hand-over, one for each way. */
const ways: readonly SceneName[] = ['secstorage', 'port']
/** The same, and the port of old in its other place. */
const everyOrder: readonly SceneName[] = [...ways, 'port-second']
const byAgent: readonly SceneName[] = ['secstorage']

const ports: SceneCheck = {
  id: 'C0',
  group: 'hand-over',
  at: 'scene',
  scenes: ways,
  does: "reads the links in /dev/virtio-ports: in one scene the agent's port is numbered first, in another second",
  run: async ({ guest }) => {
    const found = await linesOf(
      guest,
      'cd /dev/virtio-ports && for p in *; do echo "$p $(readlink "$p")"; done',
    )
    const wanted = guest.options.ports.map((name, index) => `${name} ../vport${busOf(found)}p${index + 1}`)
    const missing = wanted.filter((line) => !found.includes(line))
    return judge(
      missing.length === 0 ? [] : [`${found.join(', ') || 'none'}, expected ${wanted.join(', ')}`],
      found.join(', '),
    )
  },
}

/** Number of the bus, which depends on what else is there. */
const busOf = (lines: readonly string[]) => /vport(\d+)p/.exec(lines.join())?.[1] ?? '?'

const agentAnswers: SceneCheck = {
  id: 'C1',
  group: 'hand-over',
  at: 'scene',
  scenes: ways,
  needs: 'nothing',
  does: 'asks the agent again and again from power-on, as the host does',
  run: async ({ record, limit }) => {
    const { agentSeconds } = record
    if (agentSeconds === undefined) return failed(record.trouble?.text ?? 'it never answered')
    const text = `after ${agentSeconds.toFixed(0)} s`
    return agentSeconds > limit(60) ? failed(text) : passed(text)
  },
}

const sync: SceneCheck = {
  id: 'C2',
  group: 'hand-over',
  at: 'scene',
  scenes: byAgent,
  needs: 'nothing',
  does: 'sends guest-sync with 1234567890',
  run: async ({ record }) =>
    judge(
      record.syncAnswer === 1234567890 ? [] : [`it answered ${JSON.stringify(record.syncAnswer)}`],
      '1234567890',
    ),
}

const written: SceneCheck = {
  id: 'C3',
  group: 'hand-over',
  at: 'scene',
  scenes: everyOrder,
  does: 'reads /var/cache/cloud/cmdline, and looks in the log for when it was noticed',
  run: async ({ guest, handOver }) => {
    if (handOver === undefined) return skipped('nothing was handed over')
    const { stdout } = await guest.run('cat /var/cache/cloud/cmdline')
    const faults =
      asWords(stdout) === asWords(renderCommandLine(handOver)) ? [] : [`the file has ${stdout.slice(0, 200)}`]
    const notices = await linesOf(guest, "grep -h 'arguments from' /var/log/cloud.log")
    return judge(faults, notices.at(-1) ?? 'as written')
  },
}

const asWords = (text: string) =>
  text
    .trim()
    .split(/[\s%]+/)
    .join(' ')

const ready: SceneCheck = {
  id: 'C4',
  group: 'hand-over',
  at: 'scene',
  scenes: [
    ...everyOrder,
    'virtualbox',
    'router',
    'redundant-router',
    'vpcrouter',
    'dhcpsrvr',
    'elbvm',
    'ilbvm',
  ],
  does: 'waits for /var/cache/cloud/boot_up_done',
  run: async ({ guest, record, limit }) => {
    if (record.readySeconds === undefined) {
      const log = await linesOf(guest, 'tail -n 5 /var/log/cloud.log').catch(() => [])
      return failed(
        `not within ${limit(240)} s; ${record.trouble?.text ?? ''} ${log.join(' / ') || 'there is no log'}`,
      )
    }
    return passed(`${record.readySeconds.toFixed(1)} s after the hand-over`)
  },
}

const record: SceneCheck = {
  id: 'C5',
  group: 'hand-over',
  at: 'scene',
  scenes: [...everyOrder, 'virtualbox'],
  needs: 'taken',
  does: 'reads /var/cache/cloud/cmd_line.json and compares every key',
  run: async ({ guest, handOver }) => {
    const { stdout } = await guest.run('cat /var/cache/cloud/cmd_line.json')
    const found = parseRecord(stdout)
    if (found === undefined)
      return failed(stdout === '' ? 'there is none' : `it is no such JSON: ${stdout.slice(0, 200)}`)
    const wanted = Object.entries(handOver?.words ?? {})
    const faults = wanted.flatMap(([key, value]) =>
      found[key] === value ? [] : [`${key} is ${JSON.stringify(found[key])}, not ${JSON.stringify(value)}`],
    )
    return judge(faults, `${wanted.length} keys`)
  },
}

function parseRecord(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const { type, cmd_line } = JSON.parse(text) as {
      type?: unknown
      cmd_line?: Readonly<Record<string, unknown>>
    }
    return type === 'cmdline' ? cmd_line : undefined
  } catch {
    return undefined
  }
}

const name: SceneCheck = {
  id: 'C6',
  group: 'hand-over',
  at: 'scene',
  scenes: ways,
  needs: 'taken',
  does: "reads /etc/hostname and asks for the kernel's name",
  run: async ({ guest, handOver }) => {
    const found = await linesOf(guest, 'cat /etc/hostname; uname -n')
    const wanted = handOver?.name
    return judge(
      found.length === 2 && found.every((line) => line === wanted)
        ? []
        : [`${found.join(', ')}, not ${wanted}`],
      found.join(', '),
    )
  },
}

const addresses: SceneCheck = {
  id: 'C7',
  group: 'hand-over',
  at: 'scene',
  scenes: [...ways, 'virtualbox', 'router', 'dhcpsrvr', 'vpcrouter'],
  needs: 'taken',
  does: 'lists addresses and the default route',
  run: async ({ guest, handOver }) => {
    const found = await linesOf(
      guest,
      "ip -4 -o address show scope global; ip -4 -o address show scope link | grep -v ' lo '",
    )
    const has = found.map((line) => line.split(/\s+/))
    const faults = (handOver?.addresses ?? []).flatMap(({ address, prefixLength }, index) => {
      const own = has.filter(([, device]) => device === `eth${index}`).map((fields) => fields[3])
      return own.includes(`${address}/${prefixLength}`)
        ? []
        : [`eth${index} has ${own.join(' ') || 'no address'}, not ${address}/${prefixLength}`]
    })
    const routes = await linesOf(guest, 'ip -4 route show default')
    const { gateway } = handOver ?? {}
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
  scenes: byAgent,
  needs: 'taken',
  does: 'reads /etc/network/interfaces and the rules that bind names to MAC addresses',
  run: async ({ guest, handOver }) => {
    const { stdout } = await guest.run('cat /etc/network/interfaces')
    const rules = (await guest.run('cat /etc/udev/rules.d/70-persistent-net.rules')).stdout.toLowerCase()
    const count = handOver?.addresses.length ?? 0
    const names = ['lo', ...Array.from({ length: count }, (_, index) => `eth${index}`)]
    const automatic = [...stdout.matchAll(/^auto (.*)$/gm)].flatMap(([, text = '']) => text.split(/\s+/))
    const faults = names.filter((each) => !automatic.includes(each)).map((each) => `${each} is not automatic`)
    handOver?.addresses.forEach(({ address }, index) => {
      const stanza = stdout.split(/^iface /m).find((text) => text.startsWith(`eth${index} inet static`))
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
  scenes: ways,
  needs: 'taken',
  does: 'reads /etc/resolv.conf',
  run: async ({ guest, handOver }) => {
    const found = (await linesOf(guest, 'cat /etc/resolv.conf')).flatMap(
      (line) => /^nameserver (\S+)/.exec(line)?.[1] ?? [],
    )
    const wanted = handOver?.nameServers ?? []
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
  scenes: [...ways, 'router', 'vpcrouter', 'virtualbox'],
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
  scenes: ways,
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

const passwords: SceneCheck = {
  id: 'C12',
  group: 'hand-over',
  at: 'scene',
  scenes: byAgent,
  needs: 'taken',
  does: "tries the password that was handed over on root's hash, and reads the account's",
  run: async ({ guest, handOver, expected }) => {
    const script = `perl -e '($n, $p) = @ARGV; $h = (getpwnam $n)[1]; print crypt($p, $h) eq $h ? "yes" : "no"'`
    const { stdout } = await guest.run(`${script} root '${handOver?.rootPassword}'`)
    const [account = ''] = await linesOf(guest, `getent shadow ${expected.account} | cut -d: -f2`)
    const faults = stdout === 'yes' ? [] : ["root's password is another"]
    for (const known of ['password', 'cloud']) {
      const tried = await guest.run(`${script} ${expected.account} ${known}`)
      if (tried.stdout === 'yes') faults.push(`the password of ${expected.account} is ${known}`)
    }
    return judge(
      faults,
      `root as handed over; ${expected.account} ${/^[!*]/.test(account) ? 'has none' : 'has a random one'}`,
    )
  },
}

const settings: Readonly<Record<string, string>> = {
  'net.ipv4.conf.all.accept_redirects': '0',
  'net.ipv4.conf.all.send_redirects': '0',
  'net.ipv4.conf.all.arp_announce': '2',
  'net.ipv4.conf.all.arp_ignore': '2',
  'net.ipv4.conf.all.promote_secondaries': '1',
  'net.ipv4.conf.all.rp_filter': '0',
  'net.ipv4.ip_nonlocal_bind': '1',
  'net.ipv4.tcp_syncookies': '1',
  'net.ipv4.tcp_tw_reuse': '1',
  'net.core.somaxconn': '65535',
  'net.netfilter.nf_conntrack_max': '1000000',
  'net.ipv6.conf.all.disable_ipv6': '1',
  'kernel.panic': '10',
  'kernel.panic_on_oops': '1',
  'vm.panic_on_oom': '1',
  'vm.swappiness': '1',
  'vm.vfs_cache_pressure': '100',
  'vm.min_free_kbytes': '20480',
}

const kernel: SceneCheck = {
  id: 'C13',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage', 'router'],
  needs: 'taken',
  does: 'reads each setting from the running kernel',
  run: async ({ guest, name: scene }) => {
    // The storage VM is no router.
    const wanted = { ...settings, 'net.ipv4.ip_forward': scene === 'router' ? '1' : '0' }
    const found = new Map(
      (await linesOf(guest, `sysctl ${Object.keys(wanted).join(' ')}`)).map((line) => {
        const [setting = '', value = ''] = line.split(' = ')
        return [setting, value] as const
      }),
    )
    const faults = Object.entries(wanted).flatMap(([setting, value]) =>
      found.get(setting) === value ? [] : [`${setting} is ${found.get(setting) ?? 'missing'}, not ${value}`],
    )
    return judge(faults, `${Object.keys(wanted).length} settings`)
  },
}

const growth: SceneCheck = {
  id: 'C14',
  group: 'hand-over',
  at: 'scene',
  scenes: byAgent,
  does: 'boots with a larger disk, and compares the root file system with it',
  run: async ({ guest, grownToBytes }) => {
    const [bytes = '0'] = await linesOf(guest, 'df -B1 --output=size / | tail -n 1')
    const layout = await linesOf(guest, 'lsblk -bnro NAME,SIZE,MOUNTPOINT')
    const before = 512 * 2 ** 20 + 400 * 2 ** 20
    const least = ((grownToBytes ?? 0) - before) * 0.94
    const text = `root ${Math.round(Number(bytes) / 2 ** 20)} MiB of ${Math.round((grownToBytes ?? 0) / 2 ** 20)}`
    return Number(bytes) >= least ? passed(text) : failed(`${text}: ${layout.join(', ')}`)
  },
}

const log: SceneCheck = {
  id: 'C15',
  group: 'hand-over',
  at: 'scene',
  scenes: byAgent,
  does: 'looks for the two lines of the first boot',
  run: async ({ guest }) => {
    const { stdout } = await guest.run('cat /var/log/cloud.log')
    const wanted = ['Executing cloud-early-config', 'Finished setting up systemvm']
    const missing = wanted
      .filter((line) => !stdout.includes(line))
      .map((line) => `no ${JSON.stringify(line)}`)
    return judge(missing, `${stdout.trim().split('\n').length} lines`)
  },
}

const noData: SceneCheck = {
  id: 'C16',
  group: 'hand-over',
  at: 'scene',
  scenes: ['no-data'],
  does: 'hands nothing over, waits until the guest has given up, and asks whether it came up all the same',
  run: async ({ guest, limit }) => {
    const [state = 'unknown'] = await linesOf(guest, 'systemctl is-system-running --wait', limit(150))
    const told = await linesOf(
      guest,
      "grep -hiE 'no boot arguments|no (data|cmdline)|fail' /var/log/cloud.log",
    )
    const faults = /^(running|degraded)$/.test(state) ? [] : [`the system is ${state}`]
    if (told.length === 0) faults.push('the log says nothing of it')
    return judge(faults, `${state}; ${told.at(-1) ?? ''}`)
  },
}

const freeze: SceneCheck = {
  id: 'G4',
  group: 'hand-over',
  at: 'scene',
  scenes: byAgent,
  does: 'freezes the file systems, asks for their state, and thaws them',
  run: async ({ guest, limit }) => {
    const agent = await guest.waitForAgent(limit(30), limit(30))
    const frozen = await agent.call('guest-fsfreeze-freeze', undefined, limit(30))
    const state = await agent.call('guest-fsfreeze-status')
    const thawed = await agent.call('guest-fsfreeze-thaw', undefined, limit(30))
    const faults =
      state === 'frozen' && Number(frozen) > 0 && frozen === thawed
        ? []
        : [`${frozen} frozen, ${state}, ${thawed} thawed`]
    return judge(faults, `${frozen} file systems`)
  },
}

const agentAddresses: SceneCheck = {
  id: 'G5',
  group: 'hand-over',
  at: 'scene',
  scenes: byAgent,
  needs: 'taken',
  does: 'asks for guest-network-get-interfaces',
  run: async ({ guest, handOver, limit }) => {
    const agent = await guest.waitForAgent(limit(30), limit(30))
    const found = JSON.stringify(await agent.call('guest-network-get-interfaces'))
    const missing = (handOver?.addresses ?? []).filter(({ address }) => !found.includes(`"${address}"`))
    return judge(
      missing.map(({ address }) => `no ${address}`),
      `${handOver?.addresses.length} addresses`,
    )
  },
}

const traps: SceneCheck = {
  id: 'G8',
  group: 'hand-over',
  at: 'scene',
  scenes: ways,
  does: 'hands over values that a shell would act on, and looks whether one did',
  run: async ({ guest }) => {
    const { exitCode } = await guest.run(`test -e ${trapFile}`)
    return exitCode === 0 ? failed('a value was executed') : passed('none was executed')
  },
}

const shutdown: SceneCheck = {
  id: 'G6',
  group: 'hand-over',
  at: 'scene',
  scenes: byAgent,
  endsGuest: true,
  does: 'asks the agent to power off, and waits for the machine to go off',
  run: async ({ guest, limit }) => {
    const agent = await guest.waitForAgent(limit(30), limit(30))
    const started = performance.now()
    // It answers nothing when it succeeds.
    agent.call('guest-shutdown', { mode: 'powerdown' }, limit(60)).catch(() => undefined)
    if (!(await guest.hasEnded(limit(60)))) return failed(`still on after ${limit(60)} s`)
    return passed(`off after ${((performance.now() - started) / 1000).toFixed(0)} s`)
  },
}

export const handOverChecks: readonly SceneCheck[] = [
  ports,
  agentAnswers,
  sync,
  written,
  ready,
  record,
  name,
  addresses,
  interfacesFile,
  nameServers,
  key,
  routes,
  passwords,
  kernel,
  growth,
  log,
  noData,
  freeze,
  agentAddresses,
  traps,
  shutdown,
]
