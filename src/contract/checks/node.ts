/** Checks of Kubernetes nodes and shared file systems, which belong to their user. */

import { quote } from '../../host/shell-words.ts'
import { judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'

/** Commands that must succeed on both kinds, and what is wrong if they fail. */
const tests = [
  ['ss -Hltn "sport = :22" | grep -q .', 'nothing listens on 22'],
  ['! ss -Hltn "sport = :3922" | grep -q .', 'something listens on 3922'],
  ['! test -s /root/.ssh/authorized_keys', 'a key lets root in'],
  ['! grep -q . <(tail -n +2 /proc/swaps)', 'it swaps'],
  ["! grep -Eq '^[^#].*\\sswap\\s' /etc/fstab", 'it swaps after the next boot'],
  ['test -z "$(nft list tables ip; nft list tables ip6)"', 'it has a packet filter of its own'],
  ['iptables --version | grep -q legacy', 'iptables is not the legacy one'],
  ['test ! -e /etc/cloud/cloud-init.disabled', 'cloud-init is disabled'],
  ["grep -qx 'policy: enabled' /etc/cloud/ds-identify.cfg", 'cloud-init may find no source'],
  [
    "grep -qx \"datasource_list: \\['ConfigDrive', 'CloudStack'\\]\" /etc/cloud/cloud.cfg.d/*.cfg",
    'cloud-init does not ask CloudStack',
  ],
  [
    'for i in $(seq 60); do journalctl -b -q -u "cloud-init*" | grep -q . && break; sleep 1; done; journalctl -b -q -u "cloud-init*" | grep -q .',
    'cloud-init was not started',
  ],
] as const

const node: SceneCheck = {
  id: 'D11',
  group: 'role',
  at: 'scene',
  scenes: ['cksnode', 'sharedfsvm'],
  needs: 'taken',
  does: 'looks at sshd, keys, swap, packet filter, forwarding, containerd and cloud-init',
  run: async ({ guest, name, ssh, limit }) => {
    const isKubernetes = name === 'cksnode'
    const own = [
      [
        `test "$(cat /proc/sys/net/ipv4/ip_forward)" = ${isKubernetes ? 1 : 0}`,
        'forwarding is the opposite of what it should be',
      ],
      [
        `test "$(systemctl is-active containerd)" = ${isKubernetes ? 'active' : 'inactive'}`,
        'containerd is the opposite of what it should be',
      ],
      ...(isKubernetes ? [["passwd --status root | grep -q '^root L'", 'root is not locked']] : []),
    ]
    const script = [...tests, ...own]
      .map(([command, fault]) => `bash -c ${quote(command ?? '')} >/dev/null 2>&1 || echo "${fault}"`)
      .join('\n')
    const faults = await linesOf(guest, script, limit(60))
    const { stderr } = await ssh('true', { withKey: false })
    if (!stderr.includes('Authentications that can continue: publickey'))
      faults.push('no answer on 22 from outside')
    return judge(faults, `${tests.length + own.length + 1} conditions`)
  },
}

export const nodeChecks: readonly SceneCheck[] = [node]
