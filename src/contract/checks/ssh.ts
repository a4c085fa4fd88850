/** Checks of sshd: its settings, and what it accepts. */

import { failed, judge, type SceneCheck, skipped } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { everyFile } from '../scenes.ts'

/** As printed by `sshd -T`. */
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
  does: "lists listening addresses, and reads sshd's settings as sshd does",
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
    if (!ports.includes('3922')) faults.push('nothing listens on 3922')
    if (ports.includes('22')) faults.push('something listens on 22')
    return judge(faults, listening.filter((address) => address.endsWith(':3922')).join(' '))
  },
}

const refused: SceneCheck = {
  id: 'B4',
  group: 'boot',
  at: 'scene',
  scenes: everyFile,
  does: 'asks sshd from outside which logins it accepts, without a key',
  run: async ({ guest, ssh }) => {
    const { exitCode, stderr } = await ssh('true', { withKey: false })
    const offered = /Authentications that can continue: (.*)/.exec(stderr)?.[1]?.trim()
    if (exitCode === 0) return failed('it let us in')
    if (offered === undefined) {
      // B3 checks that sshd listens.
      const own = await linesOf(guest, 'ip -4 -br address; ip -4 route')
      return skipped(`no answer: ${stderr.trim().split('\n').at(-1)}; ${own.join(', ')}`)
    }
    return judge(offered === 'publickey' ? [] : [`it accepts ${offered}`], `it accepts ${offered}`)
  },
}

export const sshChecks: readonly SceneCheck[] = [sshd, refused]
