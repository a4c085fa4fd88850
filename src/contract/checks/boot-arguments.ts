/** Checks of how a machine receives its boot arguments, and what it does with them. */

import { renderCommandLine, trapFile } from '../../guest/boot-arguments.ts'
import { failed, judge, passed, type SceneCheck, skipped } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { routerRoles, type SceneName } from '../scenes.ts'

/** Scenes with a full hand-over, one for each delivery method. */
const ways: readonly SceneName[] = ['secstorage', 'port']
/** The same, plus one with the legacy port in the other position. */
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

/** Number of the bus, which depends on the machine's other devices. */
const busOf = (lines: readonly string[]) => /vport(\d+)p/.exec(lines.join())?.[1] ?? '?'

const written: SceneCheck = {
  id: 'C3',
  group: 'hand-over',
  at: 'scene',
  scenes: everyOrder,
  does: 'reads /var/cache/cloud/cmdline and what was made of it, and looks in the log for when it was noticed',
  run: async ({ guest, bootArguments, record }) => {
    if (bootArguments === undefined) return skipped('nothing was handed over')
    if (record.wasTaken === false) return failed(record.trouble?.text ?? 'it was not taken')
    const { stdout } = await guest.run('cat /var/cache/cloud/cmdline')
    const faults =
      asWords(stdout) === asWords(renderCommandLine(bootArguments))
        ? []
        : [`the file has ${stdout.slice(0, 200)}`]
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
  scenes: [...everyOrder, 'consoleproxy', 'virtualbox', ...routerRoles, 'cksnode', 'sharedfsvm', 'no-serial'],
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
  run: async ({ guest, bootArguments }) => {
    const { stdout } = await guest.run('cat /var/cache/cloud/cmd_line.json')
    const found = parseRecord(stdout)
    if (found === undefined)
      return failed(stdout === '' ? 'there is none' : `it is not JSON of this form: ${stdout.slice(0, 200)}`)
    const wanted = Object.entries(bootArguments?.words ?? {})
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
  run: async ({ guest, bootArguments }) => {
    const found = await linesOf(guest, 'cat /etc/hostname; uname -n')
    const wanted = bootArguments?.name
    return judge(
      found.length === 2 && found.every((line) => line === wanted)
        ? []
        : [`${found.join(', ')}, not ${wanted}`],
      found.join(', '),
    )
  },
}

const passwords: SceneCheck = {
  id: 'C12',
  group: 'hand-over',
  at: 'scene',
  scenes: byAgent,
  needs: 'taken',
  does: "tries the password that was handed over on root's hash, and reads the account's",
  run: async ({ guest, bootArguments, expected }) => {
    const script = `perl -e '($n, $p) = @ARGV; $h = (getpwnam $n)[1]; print crypt($p, $h) eq $h ? "yes" : "no"'`
    const { stdout } = await guest.run(`${script} root '${bootArguments?.rootPassword}'`)
    const [account = ''] = await linesOf(guest, `getent shadow ${expected.account} | cut -d: -f2`)
    const faults = stdout === 'yes' ? [] : ['root has a different password']
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
  run: async ({ guest, name: scene, contract }) => {
    // The storage VM is not a router.
    const forwarding = scene === 'router' ? '1' : '0'
    // Turning forwarding off makes the kernel accept redirects again, and CloudStack's own scripts do so last.
    const isReset = contract === 'cloudstack-payload' && forwarding === '0'
    const wanted = Object.fromEntries(
      Object.entries({ ...settings, 'net.ipv4.ip_forward': forwarding }).filter(
        ([setting]) => !(isReset && setting === 'net.ipv4.conf.all.accept_redirects'),
      ),
    )
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
    // Swap and /boot come first; the root file system itself takes up to six percent of the rest.
    const others = 512 * 2 ** 20 + 400 * 2 ** 20
    const least = ((grownToBytes ?? 0) - others) * 0.94
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
  does: 'hands nothing over, waits until the guest has given up, and asks whether it came up anyway',
  run: async ({ guest, limit }) => {
    const [state = 'unknown'] = await linesOf(guest, 'systemctl is-system-running --wait', limit(150))
    const logged = await linesOf(
      guest,
      "grep -hiE 'no boot arguments|no (data|cmdline)|fail' /var/log/cloud.log",
    )
    const faults = /^(running|degraded)$/.test(state) ? [] : [`the system is ${state}`]
    if (logged.length === 0) faults.push('the log does not mention it')
    return judge(faults, `${state}; ${logged.at(-1) ?? ''}`)
  },
}

const traps: SceneCheck = {
  id: 'G8',
  group: 'hand-over',
  at: 'scene',
  scenes: ways,
  // CloudStack's own scripts were never written for such values, and its hosts never send them.
  contracts: ['cloudstack'],
  does: 'hands over values that a shell would act on, and checks whether one did',
  run: async ({ guest }) => {
    const { exitCode } = await guest.run(`test -e ${trapFile}`)
    return exitCode === 0 ? failed('a value was executed') : passed('none was executed')
  },
}

export const bootArgumentChecks: readonly SceneCheck[] = [
  ports,
  written,
  ready,
  record,
  name,
  passwords,
  kernel,
  growth,
  log,
  noData,
  traps,
]
