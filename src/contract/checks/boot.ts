/** Checks of a guest that came up: what it says of itself, and who may get in. */

import { setTimeout as sleep } from 'node:timers/promises'
import { hasSign } from '../../qemu/console-signs.ts'
import type { DeviceModel } from '../../targets/device-model.ts'
import { deviceModels } from '../../targets/registry.ts'
import { failed, judge, passed, type SceneCheck, skipped } from '../check.ts'
import type { Scene, SceneName } from '../scenes.ts'

/** Scenes that end in a machine that is up; one for each file. */
const everyFile: readonly SceneName[] = ['boot', 'secstorage', 'virtualbox']
/** Of what does not depend on the hypervisor, one file's answer is that of all. */
const once: readonly SceneName[] = ['secstorage']

const login: SceneCheck = {
  id: 'B1',
  group: 'boot',
  at: 'scene',
  scenes: [...everyFile, 'port'],
  needs: 'nothing',
  does: 'waits for a login prompt on the serial console, and on the virtio console where the model has one',
  run: async ({ guest, model, record, limit }) => {
    const seconds = record.loginSeconds
    if (seconds === undefined) return failed(record.trouble?.text ?? 'no login prompt')
    const { hasVirtioConsole = false }: DeviceModel = deviceModels[model]
    const faults = seconds > limit(60) ? [`it took ${seconds.toFixed(0)} s`] : []
    if (hasVirtioConsole && !(await asksOnVirtioConsole(guest, limit(10))))
      faults.push('no login prompt on hvc0')
    const where = hasVirtioConsole ? 'ttyS0 and hvc0' : 'ttyS0'
    return judge(faults, `${where} in ${seconds.toFixed(0)} s with ${deviceModels[model].summary}`)
  },
}

/** Each console has a getty of its own, and neither waits for the other. */
async function asksOnVirtioConsole(guest: Scene['guest'], withinSeconds: number): Promise<boolean> {
  const deadline = performance.now() + withinSeconds * 1000
  for (;;) {
    if (hasSign(await guest.virtioConsole(), 'loginPrompt')) return true
    if (performance.now() > deadline) return false
    await sleep(500)
  }
}

const interfaces: SceneCheck = {
  id: 'B2',
  group: 'boot',
  at: 'scene',
  scenes: everyFile,
  does: 'lists the network interfaces that are devices',
  run: async ({ guest }) => {
    const names = await linesOf(guest, 'for i in /sys/class/net/*/device; do basename "${i%/device}"; done')
    const wanted = guest.options.networks.map((_, index) => `eth${index}`)
    return judge(
      names.sort().join() === wanted.join() ? [] : [`${names.join(' ')}, not ${wanted.join(' ')}`],
      names.join(' '),
    )
  },
}

/** As `sshd -T` prints them. */
const sshdSettings = {
  port: '3922',
  permitrootlogin: 'yes',
  passwordauthentication: 'no',
  pubkeyauthentication: 'yes',
  kbdinteractiveauthentication: 'no',
  usedns: 'no',
  maxsessions: '1000',
}

const sshd: SceneCheck = {
  id: 'B3',
  group: 'boot',
  at: 'scene',
  scenes: everyFile,
  does: "lists who listens, and reads sshd's settings as sshd does",
  run: async ({ guest }) => {
    const listening = await linesOf(guest, "ss -Hltn | awk '{ print $4 }'")
    const ports = listening.map((address) => address.split(':').at(-1))
    const settings = await linesOf(guest, '/usr/sbin/sshd -T')
    const settingOf = (name: string) =>
      settings.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1)
    const faults = Object.entries(sshdSettings).flatMap(([name, value]) =>
      settingOf(name) === value ? [] : [`${name} is ${settingOf(name) ?? 'missing'}, not ${value}`],
    )
    if (!/^1000(:|$)/.test(settingOf('maxstartups') ?? ''))
      faults.push(`maxstartups is ${settingOf('maxstartups')}`)
    if (!(settingOf('pubkeyacceptedalgorithms') ?? '').split(',').includes('ssh-rsa'))
      faults.push('keys that sign as ssh-rsa are refused')
    if (!ports.includes('3922')) faults.push('nobody listens on 3922')
    if (ports.includes('22')) faults.push('somebody listens on 22')
    return judge(faults, listening.filter((address) => address.endsWith(':3922')).join(' '))
  },
}

const refused: SceneCheck = {
  id: 'B4',
  group: 'boot',
  at: 'scene',
  scenes: everyFile,
  does: 'asks sshd from outside what it takes, without a key',
  run: async ({ guest, ssh }) => {
    const { exitCode, stderr } = await ssh('true', { withKey: false })
    const offered = /Authentications that can continue: (.*)/.exec(stderr)?.[1]?.trim()
    if (exitCode === 0) return failed('it let us in')
    if (offered === undefined) {
      // That somebody listens, B3 asks.
      const own = await linesOf(guest, 'ip -4 -br address; ip -4 route')
      return skipped(`nobody answers: ${stderr.trim().split('\n').at(-1)}; ${own.join(', ')}`)
    }
    return judge(offered === 'publickey' ? [] : [`it takes ${offered}`], `it takes ${offered}`)
  },
}

const hypervisor: SceneCheck = {
  id: 'B5',
  group: 'boot',
  at: 'scene',
  scenes: [...everyFile, 'port'],
  does: 'runs virt-what',
  run: async ({ guest, model }) => {
    const words = await linesOf(guest, 'virt-what')
    const right: readonly string[] = deviceModels[model].virtWhat
    const text = words.join(' ') || 'nothing'
    return judge(words.some((word) => right.includes(word)) ? [] : [`it says ${text}`], text)
  },
}

const java: SceneCheck = {
  id: 'B6',
  group: 'boot',
  at: 'scene',
  scenes: once,
  does: 'runs java -version, and opens the key store with its known password',
  run: async ({ guest }) => {
    // Interpreted: compiled code changes while it runs, which an emulated machine of several processors may trip over.
    const version = /version "(\d+)/.exec((await guest.run('java -Xint -version', 300)).stderr)?.[1]
    const store = '/etc/ssl/certs/java/cacerts'
    const listed = await guest.run(`keytool -J-Xint -list -keystore ${store} -storepass changeit`, 300)
    const count = Number(/contains (\d+) entr/.exec(listed.stdout)?.[1] ?? 0)
    const faults = Number(version) >= 17 ? [] : [`Java is ${version ?? 'missing'}`]
    if (count === 0) faults.push(`${store}: ${(listed.stdout + listed.stderr).trim().split('\n').at(-1)}`)
    return judge(faults, `Java ${version}, ${count} certificates`)
  },
}

/** Programs, and what makes them say something and end well. */
const programCalls = [
  'iptables --version',
  'ip6tables --version',
  'nft --version',
  'ip -V',
  'tc -V',
  'conntrack --version',
  'conntrackd -v',
  'ipset --version',
  'dnsmasq --version',
  'haproxy -v',
  'keepalived --version',
  'apache2ctl -v',
  'ipsec --version',
  'radvd --version',
  'socat -V',
  'curl --version',
  'wget --version',
  'unzip -v',
  'zip -v',
  'rsync --version',
  'growpart --help',
  'lsb_release --release',
  'ntpq --version',
  'virt-what --version',
  'qemu-ga --version',
  'vmtoolsd --version',
]
/** Programs that have no way to say their version without more. */
const programsThere = [
  'resize2fs',
  'xl2tpd',
  'xenstore-read',
  'arping',
  'arptables-legacy',
  'ebtables-legacy',
  'genisoimage',
  'mount.nfs',
  'logrotate',
]

const programs: SceneCheck = {
  id: 'B7',
  group: 'boot',
  at: 'scene',
  scenes: once,
  does: 'runs each program so that it says its version, or looks for it where it cannot',
  run: async ({ guest, acceleration }) => {
    // Some end with 1 when they have said their version. 124 and more is no answer: a time limit, no such program, a crash.
    const calls = programCalls.map(
      (call) => `timeout 60 ${call} >/dev/null 2>&1; s=$?; [ $s -lt 124 ] || echo "${call} ends with $s"`,
    )
    const looks = programsThere.map((name) => `command -v ${name} >/dev/null || echo "${name} is not there"`)
    const said = await linesOf(guest, [...calls, ...looks].join('\n'), 600)
    // An emulated processor goes without cmpxchg16b, which QEMU gets wrong: what is built for it ends with SIGILL there.
    const isEmulated = acceleration.accelerator === 'tcg'
    const broken = said.filter((line) => !(isEmulated && line.endsWith(' ends with 132')))
    // Debian calls it by its unit's name.
    const kvp = await linesOf(guest, 'ls /usr/sbin/hv_kvp_daemon')
    if (kvp.length === 0) broken.push('hv_kvp_daemon is not there')
    const count = programCalls.length + programsThere.length + 1
    return judge(broken, `${count} programs`)
  },
}

const dhcpRelease: SceneCheck = {
  id: 'B8',
  group: 'boot',
  at: 'scene',
  scenes: once,
  does: 'looks for dhcp_release',
  run: async ({ guest }) => {
    const [path] = await linesOf(guest, 'command -v dhcp_release')
    return path === undefined ? failed('there is none') : passed(path)
  },
}

const python: SceneCheck = {
  id: 'B9',
  group: 'boot',
  at: 'scene',
  scenes: once,
  does: 'imports cgi, flask and netaddr with python',
  run: async ({ guest }) => {
    const script = 'import sys, cgi, flask, netaddr; print(sys.version_info.major, sys.version.split()[0])'
    const { exitCode, stdout, stderr } = await guest.run(`python -c '${script}'`, 300)
    const faults =
      exitCode === 0 && stdout.startsWith('3 ') ? [] : [stderr.trim().split('\n').at(-1) ?? 'no python']
    return judge(faults, `Python ${stdout.split(' ').at(1)?.trim()}`)
  },
}

const firstBoot = ['cloud-preinit', 'cloud-early-config', 'cloud-postinit']
/** Of roles and of other hypervisors; what a suite does not have is not enabled. */
const waiting = [
  ...[
    'apache2',
    'conntrackd',
    'dnsmasq',
    'haproxy',
    'keepalived',
    'radvd',
    'frr',
    'strongswan-starter',
    'xl2tpd',
  ],
  ...['nfs-server', 'open-vm-tools', 'xe-daemon', 'containerd', 'cloud-init', 'cloud'],
]

const units: SceneCheck = {
  id: 'B10',
  group: 'boot',
  at: 'scene',
  scenes: ['boot', 'no-data'],
  does: 'asks systemd what is enabled, before any role is known, and what runs',
  run: async ({ guest }) => {
    const list = async (names: readonly string[], verb: string) =>
      linesOf(
        guest,
        `for u in ${names.join(' ')}; do printf '%s %s\\n' $u "$(systemctl ${verb} $u.service 2>/dev/null)"; done`,
      )
    const enabled = (await list(firstBoot, 'is-enabled')).filter((line) => !line.endsWith(' enabled'))
    const early = (await list(waiting, 'is-enabled')).filter((line) => line.endsWith(' enabled'))
    const running = (await list(waiting, 'is-active')).filter((line) => line.endsWith(' active'))
    const faults = [
      ...enabled.map((line) => `${line.trim().replace(' ', ' is ') || 'missing'}, not enabled`),
      ...early.map((line) => line.replace(' ', ' is ')),
      ...running.map((line) => `${line.replace(' ', ' is ')}`),
    ]
    return judge(faults, `${firstBoot.join(', ')} enabled, ${waiting.length} others not`)
  },
}

const powerButton: SceneCheck = {
  id: 'B12',
  group: 'boot',
  at: 'scene',
  scenes: ['boot', 'no-data', 'virtualbox'],
  endsGuest: true,
  does: 'presses the power button, and waits for the machine to go off',
  run: async ({ guest, limit }) => {
    const started = performance.now()
    await guest.qmp.execute('system_powerdown')
    const seconds = limit(20)
    if (!(await guest.hasEnded(seconds))) return failed(`still on after ${seconds} s`)
    return passed(`off after ${((performance.now() - started) / 1000).toFixed(0)} s`)
  },
}

const upgrades: SceneCheck = {
  id: 'B13',
  group: 'boot',
  at: 'scene',
  scenes: once,
  does: 'lists timers and services that upgrade packages',
  run: async ({ guest }) => {
    const timers = await linesOf(guest, 'systemctl list-timers --all --no-legend --plain')
    const active = timers.filter((line) => /apt-daily|unattended|packagekit/.test(line))
    return judge(active, `${timers.length} timers, none of apt's`)
  },
}

const freshKeys: SceneCheck = {
  id: 'F1',
  group: 'boot',
  at: 'scene',
  scenes: everyFile,
  does: 'looks for host keys that are younger than the boot',
  run: async ({ guest }) => {
    const keys = await linesOf(
      guest,
      'find /etc/ssh -name "ssh_host_*_key" -newer /proc/1/stat -o -name "ssh_host_*_key" -mmin -60',
    )
    return keys.length === 0
      ? failed('there are none')
      : passed(keys.map((path) => path.split('/').at(-1)).join(' '))
  },
}

const freshId: SceneCheck = {
  id: 'F2',
  group: 'boot',
  at: 'scene',
  scenes: everyFile,
  does: 'reads /etc/machine-id',
  run: async ({ guest }) => {
    const [id = ''] = await linesOf(guest, 'cat /etc/machine-id')
    return judge(/^[0-9a-f]{32}$/.test(id) ? [] : [`it is ${JSON.stringify(id)}`], 'made at boot')
  },
}

const whole: SceneCheck = {
  id: 'G1',
  group: 'boot',
  at: 'scene',
  scenes: [...everyFile, 'port', 'no-data', 'no-serial'],
  does: 'waits until systemd has come up, and lists failed units with their last words',
  run: async ({ guest, model, limit }) => {
    const [state = ''] = await linesOf(guest, 'systemctl is-system-running --wait', limit(120))
    const { failingUnits = {} }: DeviceModel = deviceModels[model]
    const failedUnits = await linesOf(
      guest,
      "systemctl list-units --state=failed --no-legend --plain | awk '{ print $1 }'",
    )
    const explained = failedUnits.filter((unit) => unit in failingUnits)
    const faults = await Promise.all(
      failedUnits
        .filter((unit) => !explained.includes(unit))
        .map(
          async (unit) =>
            `${unit}: ${(await linesOf(guest, `journalctl -b -o cat -n 3 -u ${unit}`)).join(' / ')}`,
        ),
    )
    const isUp = state === (explained.length === 0 ? 'running' : 'degraded') && faults.length === 0
    const reasons = explained.map((unit) => `${unit} fails here, as ${failingUnits[unit]}`)
    return judge(isUp ? [] : [`the system is ${state}`, ...faults], [state, ...reasons].join('; '))
  },
}

/** What a command prints, by lines. Of its exit status nothing is said. */
export async function linesOf(
  guest: Scene['guest'],
  command: string,
  limitSeconds?: number,
): Promise<string[]> {
  const { stdout } = await guest.run(command, limitSeconds)
  return stdout.split('\n').filter((line) => line.trim() !== '')
}

export const bootChecks: readonly SceneCheck[] = [
  login,
  whole,
  interfaces,
  sshd,
  refused,
  hypervisor,
  java,
  programs,
  dhcpRelease,
  python,
  units,
  upgrades,
  freshKeys,
  freshId,
  powerButton,
]
