/** Checks that run the programs in a guest. */

import { deviceModels } from '../../targets/registry.ts'
import { failed, judge, passed, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { everyFile, once } from '../scenes.ts'

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
    // Interpreted: compiled code modifies itself at run time, which can trip up an emulated machine with several processors.
    const version = /version "(\d+)/.exec((await guest.run('java -Xint -version', 300)).stderr)?.[1]
    const store = '/etc/ssl/certs/java/cacerts'
    const listed = await guest.run(`keytool -J-Xint -list -keystore ${store} -storepass changeit`, 300)
    const count = Number(/contains (\d+) entr/.exec(listed.stdout)?.[1] ?? 0)
    const faults = Number(version) >= 17 ? [] : [`Java is ${version ?? 'missing'}`]
    if (count === 0) faults.push(`${store}: ${(listed.stdout + listed.stderr).trim().split('\n').at(-1)}`)
    return judge(faults, `Java ${version}, ${count} certificates`)
  },
}

/** Programs, and the arguments that make them print something and exit cleanly. */
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
]
/** Programs that have no option to just print their version. */
const programsThere = [
  'resize2fs',
  'xl2tpd',
  'arping',
  'arptables-legacy',
  'ebtables-legacy',
  'genisoimage',
  'mount.nfs',
  'logrotate',
]
/** Programs for hypervisors that run only on x86. Debian names Hyper-V's after its unit. */
const callsOnX86 = ['vmtoolsd --version']
const thereOnX86 = ['xenstore-read', '/usr/sbin/hv_kvp_daemon']

const programs: SceneCheck = {
  id: 'B7',
  group: 'boot',
  at: 'scene',
  scenes: once,
  does: 'runs each program that can print its version, and looks for the others',
  run: async ({ guest, acceleration }) => {
    const isX86 = acceleration.arch === 'x86_64'
    const allCalls = isX86 ? [...programCalls, ...callsOnX86] : programCalls
    const allThere = isX86 ? [...programsThere, ...thereOnX86] : programsThere
    // Some exit with 1 after printing their version. 124 and above means no answer: a timeout, a missing program, a crash.
    const calls = allCalls.map(
      (call) => `timeout 60 ${call} >/dev/null 2>&1; s=$?; [ $s -lt 124 ] || echo "${call} ends with $s"`,
    )
    const looks = allThere.map((name) => `command -v ${name} >/dev/null || echo "${name} is not there"`)
    const said = await linesOf(guest, [...calls, ...looks].join('\n'), 600)
    // An emulated CPU lacks cmpxchg16b, which QEMU gets wrong, so programs built for it die of SIGILL there.
    const isEmulated = acceleration.accelerator === 'tcg'
    const broken = said.filter((line) => !(isEmulated && line.endsWith(' ends with 132')))
    return judge(broken, `${allCalls.length + allThere.length} programs`)
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

export const programChecks: readonly SceneCheck[] = [hypervisor, java, programs, dhcpRelease, python]
