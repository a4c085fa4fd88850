/**
 * Storage VMs and console proxies, from the first start to the next ones, with the steps that a CloudStack host takes
 * and CloudStack's own scripts in the guest.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RoleName } from '../../src/guest/roles.ts'
import { encodePem, makeAuthority } from './certificates.ts'
import {
  deliver,
  type SystemVm,
  startSystemVm,
  templateVersion,
  waitForSsh,
  waitUntilPatched,
} from './host.ts'
import { buildImage, hasTheirPayload } from './image.ts'
import { agentWords, makeStandIn } from './stand-in.ts'
import { cloudstackSource, describeWithSource, type Packed, packTree } from './tree.ts'

const conf = '/usr/local/cloud/systemvm/conf'

describeWithSource('machines that run the agent', () => {
  let work = ''
  let image = ''
  let packed: Packed

  beforeAll(async () => {
    image = await buildImage()
    work = mkdtempSync(join(tmpdir(), 'cs-'))
    packed = packTree(cloudstackSource, makeFolder(work, 'files'), makeStandIn(work))
  })
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  describe.each<RoleName>(['secstorage', 'consoleproxy'])('%s', (role) => {
    let vm: SystemVm
    // A live patch changes some of it: CloudStack's own opens the console's port twice, and lets sshd listen everywhere.
    let firstState: Readonly<Record<string, string>> = {}
    const ask = (command: string, limitSeconds?: number) => vm.ask(command, limitSeconds)

    beforeAll(async () => {
      vm = await startSystemVm({
        image,
        role,
        folder: makeFolder(work, role.slice(0, 3)),
        words: { vncport: '8443' },
      })
      await waitForSsh(vm)
    })
    afterAll(() => vm?.close())

    it('is patched by what the host copies in', async () => {
      await deliver(vm, packed)
      await waitUntilPatched(vm)
      const version = await templateVersion(vm)
      expect(version).toMatch(/^Cloudstack Release \d/)
      expect(version.split('&')[1]).toBe(packed.sha512)
    })

    it('has a system without failed units', async () => {
      expect((await ask('systemctl list-units --failed --no-legend --plain || true')).trim()).toBe('')
    })

    it('has told its agent what it was told itself', async () => {
      const properties = await ask(`cat ${conf}/agent.properties`)
      expect(properties).toMatch(/^name=.-42-VM$/m)
      if (role === 'secstorage') expect(properties).not.toMatch(/^resource=/m)
      const sizes = await ask(`stat -c %a /usr/local/cloud/systemvm/_run.sh`)
      expect(sizes.trim()).toBe('555')
      expect(
        await ask(
          'keytool -J-Xint -list -keystore /usr/local/cloud/systemvm/certs/systemvm.keystore -storepass vmops.com | head -n 5',
        ),
      ).toContain('entries')
    })

    it('makes a key, and takes the certificate that is signed for it', async () => {
      const setUp = `/opt/cloud/bin/keystore-setup ${conf}/agent.properties ${conf}/cloud.jks secret-of-jks 365 ${conf}/cloud.csr`
      const request = await ask(setUp, 600)
      expect(request).toContain('BEGIN NEW CERTIFICATE REQUEST')
      const authority = makeAuthority(makeFolder(work, `ca-${role}`))
      const signed = authority.sign(request.slice(request.indexOf('-----BEGIN')))
      const files = `${conf}/cloud.crt "${encodePem(signed)}" ${conf}/cloud.ca.crt "${encodePem(authority.certificate)}" ${conf}/cloud.key ""`
      await ask(
        `/opt/cloud/bin/keystore-cert-import ${conf}/agent.properties other-secret ${conf}/cloud.jks ssh ${files}`,
        900,
      )
      const listed = await ask(
        `keytool -J-Xint -list -v -alias cloud -keystore ${conf}/cloud.jks -storepass secret-of-jks`,
        300,
      )
      expect(listed).toMatch(/Issuer: CN=ca/)
    })

    it('runs the agent with its words', async () => {
      await expectEventually(() => ask(`cat ${agentWords}`), /^name=.-42-VM$/m)
      expect((await ask('systemctl is-active cloud')).trim()).toBe('active')
    })

    it('lets in what its role serves, and SSH through its control interface alone', async () => {
      const rules = await ask('iptables-save -t filter')
      expect(rules).toMatch(/^:INPUT DROP/m)
      expect(rules).toMatch(/^:FORWARD DROP/m)
      expect(rules).toMatch(/-i eth[01] .*--dport 3922 -j ACCEPT/)
      if (role === 'consoleproxy') expect(rules).toMatch(/-i eth2 .*--dport 8443 -j ACCEPT/)
      expect((await ask('sysctl -n net.ipv4.ip_forward')).trim()).toBe('0')
      const listening = await ask('ss -Htln sport = :3922')
      // CloudStack's own first boot forgets the address when it unpacks the archive: the packet filter is left to shut it.
      if (!hasTheirPayload) expect(listening).toContain('169.254.')
      firstState = await stateOf(vm)
    })

    it('is patched live, and keeps its certificates', async () => {
      const newer = packTree(cloudstackSource, makeFolder(work, `newer-${role}`), makeStandIn(work))
      await deliver(vm, newer)
      expect(newer.sha512).not.toBe(packed.sha512)
      const before = await ask('systemctl show -P MainPID cloud')
      const said = await ask('/var/cache/cloud/patch-sysvms.sh', 900)
      expect(said).toContain(`version:${newer.sha512}`)
      expect(await ask('systemctl show -P MainPID cloud')).not.toBe(before)
      expect(await ask(`ls ${conf}`)).toMatch(/cloud\.jks/)
      expect(await ask('cat /var/cache/cloud/cloud-scripts-signature')).toContain(newer.sha512)
    })

    it('starts again, by CloudStack’s own units', async () => {
      await vm.ssh('systemctl poweroff', 30)
      expect(await vm.guest.hasEnded(300)).toBe(true)
      await vm.close()
      const again = vm
      vm = await startSystemVm({
        image,
        role,
        folder: makeFolder(work, `${role.slice(0, 3)}2`),
        words: { vncport: '8443' },
        again,
      })
      await waitForSsh(vm)
      await deliver(vm, packed)
      await waitUntilPatched(vm)
      expect((await templateVersion(vm)).split('&')[1]).toBe(packed.sha512)
      expect(await ask('systemctl cat cloud-preinit')).toContain('/opt/cloud/bin/setup/init.sh')
      expect((await ask('systemctl list-units --failed --no-legend --plain || true')).trim()).toBe('')
      if (!hasTheirPayload) expect(await stateOf(vm)).toEqual(firstState)
    })
  })
}, ['javac', 'jar', 'openssl'])

/** What must not depend on who configured the machine: the first boot did, by our programs, and later ones by theirs. */
async function stateOf(vm: SystemVm): Promise<Readonly<Record<string, string>>> {
  const asked = {
    addresses: "ip -o -4 addr show | awk '{print $2, $4}' | sort",
    routes: 'ip -4 route show | grep -v linkdown | sed "s/ onlink//" | sort',
    filter: "iptables-save -t filter | grep -v '^#' | sed 's/\\[.*\\]//'",
    resolver: "grep '^nameserver' /etc/resolv.conf",
    name: 'hostname',
    forwarding: 'sysctl -n net.ipv4.ip_forward',
    listening: "ss -Htln | awk '{print $4}' | grep 3922",
    services: 'cat /var/cache/cloud/enabled_svcs',
  }
  const found: Record<string, string> = {}
  for (const [name, command] of Object.entries(asked)) found[name] = (await vm.ask(command)).trim()
  return found
}

async function expectEventually(ask: () => Promise<string>, pattern: RegExp): Promise<void> {
  await expect.poll(() => ask().catch(String), { timeout: 300_000, interval: 3000 }).toMatch(pattern)
}

function makeFolder(parent: string, name: string): string {
  const folder = join(parent, name)
  mkdirSync(folder, { recursive: true })
  return folder
}
