/** First boot with what a CloudStack host copies in, as far as that can be seen without CloudStack's own scripts. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  deliver,
  type SystemVm,
  startSystemVm,
  templateVersion,
  waitForSsh,
  waitUntilPatched,
} from '../cloudstack/host.ts'
import { buildImage } from '../cloudstack/image.ts'
import type { Packed } from '../cloudstack/tree.ts'

const scripts = fileURLToPath(new URL('../fixtures/cloudstack-scripts', import.meta.url))

let work = ''
let image = ''
let packed: Packed

beforeAll(async () => {
  image = await buildImage()
  work = mkdtempSync(join(tmpdir(), 'patch-'))
  packed = pack(work)
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

describe('a storage VM', () => {
  let vm: SystemVm
  beforeAll(async () => {
    vm = await startSystemVm({ image, role: 'secstorage', folder: join(work, 's') })
    await waitForSsh(vm)
  })
  afterAll(() => vm?.close())

  it('refuses a copy that is cut short, says why, and can still be reached', async () => {
    const short = join(work, 'short/cloud-scripts.tgz')
    mkdirSync(join(work, 'short'))
    writeFileSync(short, readFileSync(packed.scripts).subarray(0, 500))
    await deliver(vm, { ...packed, scripts: short })
    await expect
      .poll(() => vm.ask('grep refusing /var/log/cloud.log || :'), { timeout: 120_000, interval: 1000 })
      .toContain('refusing what was copied in: it is cut short; waiting for the next copy')
  })

  it('takes the next one over SSH while its boot still goes on, and its own agent', async () => {
    await deliver(vm, packed)
    await waitUntilPatched(vm)
    expect(await templateVersion(vm)).toMatch(new RegExp(`&${packed.sha512}$`))
    expect(await vm.ask('cat /run/bootstrapped /var/cache/cloud/boot_up_done')).toBe(
      'type=secstorage\ntheirs',
    )
    expect(await vm.ask('cat /usr/local/cloud/systemvm/conf/agent.properties')).toBe('of=the agent')
    expect(JSON.parse(await vm.ask('cat /var/cache/cloud/handover.json'))).toMatchObject({
      scripts: packed.sha512,
    })
    expect(await vm.ask('ls /var/cache/cloud')).not.toMatch(/agent\.zip|cloud-scripts\.tgz|patch\.required/)
  })

  it('has the packet filter of the archive, with SSH through the control interface', async () => {
    expect(await vm.ask('iptables-save -t filter')).toMatch(/-i eth0 .*--dport 3922 -j ACCEPT/)
  })
})

describe('a router', () => {
  let vm: SystemVm
  beforeAll(async () => {
    vm = await startSystemVm({ image, role: 'router', folder: join(work, 'r') })
    await waitForSsh(vm)
  })
  afterAll(() => vm?.close())

  it('needs no agent, and keeps none', async () => {
    await deliver(vm, packed)
    expect(await templateVersion(vm)).toMatch(new RegExp(`&${packed.sha512}$`))
    expect(await vm.ask('cat /run/bootstrapped')).toBe('type=router')
    expect((await vm.ssh('ls /usr/local/cloud/systemvm')).exitCode).not.toBe(0)
  })

  it('boots by the units of the archive from then on', async () => {
    expect(await vm.ask('systemctl cat cloud-preinit')).toContain('next-boot.sh')
    expect((await vm.ask('systemctl list-units --failed --no-legend --plain || :')).trim()).toBe('')
  })
})

/** The archive of the fixture, an agent of one file, and a program that is not run here. */
function pack(folder: string): Packed {
  const [archive, agent, patcher] = ['cloud-scripts.tgz', 'agent.zip', 'patch-sysvms.sh'].map((name) =>
    join(folder, name),
  ) as [string, string, string]
  execFileSync('tar', ['-czf', archive, '--owner=0', '--group=0', '-C', scripts, ...readdirSync(scripts)])
  mkdirSync(join(folder, 'agent/conf'), { recursive: true })
  writeFileSync(join(folder, 'agent/conf/agent.properties'), 'of=the agent\n')
  execFileSync('python3', ['-m', 'zipfile', '-c', agent, 'conf'], { cwd: join(folder, 'agent') })
  writeFileSync(patcher, '#!/bin/sh\n')
  const [sha512 = ''] = execFileSync('sha512sum', [archive], { encoding: 'utf8' }).split(' ')
  return { agent, scripts: archive, patcher, sha512 }
}
