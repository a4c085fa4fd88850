/** The packet filters of the image, loaded by the real programs into a network namespace of their own. */

import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { pathOfTools } from '../../support/path-of-tools.ts'
import { describeWith } from '../../support/tools.ts'

const run = promisify(execFile)
const provisioners = fileURLToPath(new URL('../../../provisioners/', import.meta.url))
const system = `${provisioners}system/etc/iptables`
const payload = `${provisioners}payload/etc/iptables`
const roles = readdirSync(payload).filter((name) => name.startsWith('iptables-'))

/** What a shell prints in a namespace that begins without any rule. */
async function inNamespace(script: string): Promise<readonly string[]> {
  const words = ['--map-root-user', '--net', 'sh', '-euc', script]
  const { stdout } = await run('unshare', words, { env: { ...process.env, PATH: pathOfTools } })
  return stdout.split('\n').filter((line) => line !== '')
}

const deny = `nft -f ${system}/systemvm-deny.nft`
const policies = (rules: readonly string[]) => rules.filter((rule) => /^-P (INPUT|FORWARD) /.test(rule))

describeWith(['nft', 'iptables-restore', 'ip6tables-restore', 'unshare'], 'the filter of every boot', () => {
  it('lets nothing in or through, however often it is loaded, and iptables shows it', async () => {
    const rules = await inNamespace(`${deny}; ${deny}; iptables -S; ip6tables -S`)
    expect(rules).toEqual([
      ...['-P INPUT DROP', '-P FORWARD DROP', '-P OUTPUT ACCEPT'],
      ...['-A INPUT -i lo -j ACCEPT', '-A INPUT -p icmp -j ACCEPT'],
      ...['-P INPUT DROP', '-P FORWARD DROP', '-P OUTPUT ACCEPT'],
      ...['-A INPUT -i lo -j ACCEPT', '-A INPUT -p ipv6-icmp -j ACCEPT'],
    ])
  })

  it.each(roles)('is replaced by %s, not added to', async (name) => {
    const alone = await inNamespace(`iptables-restore <${payload}/${name}; iptables-save`)
    const after = await inNamespace(`${deny}; iptables-restore <${payload}/${name}; iptables-save`)
    const rulesOf = (lines: readonly string[]) => lines.filter((line) => !line.startsWith('#'))
    expect(rulesOf(after)).toEqual(rulesOf(alone))
    expect(after.join()).toContain(':FORWARD DROP')
  })

  it.each(['ip6tables-systemvm', 'ip6tables-router'])('is replaced by %s, too', async (name) => {
    const rules = await inNamespace(`${deny}; ip6tables-restore <${payload}/${name}; ip6tables -S`)
    expect(policies(rules)).toEqual(['-P INPUT DROP', '-P FORWARD DROP'])
    expect(rules.filter((rule) => rule === '-A INPUT -i lo -j ACCEPT')).toHaveLength(1)
  })

  it('stays where rules do not load', async () => {
    const rules = await inNamespace(`${deny}; echo nonsense | iptables-restore 2>&1 || iptables -S`)
    expect(policies(rules)).toEqual(['-P INPUT DROP', '-P FORWARD DROP'])
  })

  it("lets SSH alone in for CloudStack's scripts, which filter IPv6 elsewhere", async () => {
    const rules = await inNamespace(
      `${deny}; nft -f ${system}/systemvm-cloudstack.nft; iptables -S; nft list tables`,
    )
    expect(policies(rules)).toEqual(['-P INPUT DROP', '-P FORWARD DROP'])
    expect(rules.filter((rule) => rule.includes('--dport'))).toEqual(
      ['eth0', 'eth1'].map((name) => `-A INPUT -i ${name} -p tcp -m tcp --dport 3922 -j ACCEPT`),
    )
    expect(rules.filter((line) => line.startsWith('table'))).toEqual(['table ip filter'])
  })

  it('goes away for machines that filter by themselves', async () => {
    expect(await inNamespace(`${deny}; nft -f ${system}/systemvm-open.nft; nft list tables`)).toEqual([])
  })
})
