/** What guests are asked about hypervisors that their architecture does not run on. */

import { describe, expect, it } from 'vitest'
import type { Arch } from '../../../src/arch.ts'
import { sceneChecksOf } from '../../../src/contract/registry.ts'
import type { Scene } from '../../../src/contract/scenes.ts'

/** What a check says of a guest that answers everything with these lines, and what it has asked. */
async function ask(id: 'B7' | 'G2', arch: Arch, ...lines: readonly string[]) {
  const check = sceneChecksOf('secstorage', 'cloudstack').find((one) => one.id === id)
  const asked: string[] = []
  const run = async (script: string) => {
    asked.push(script)
    return { exitCode: 0, stdout: lines.join('\n'), stderr: '' }
  }
  const scene = { guest: { run }, acceleration: { arch, accelerator: 'tcg' } } as unknown as Scene
  return { finding: await check?.run(scene), asked: asked.join('\n') }
}

describe('a guest on ARM', () => {
  const modules = ['kernel/drivers/block/virtio_blk.ko', 'virtio_scsi.ko.xz', 'kernel/drivers/scsi/sd_mod.ko']

  it('needs the disk drivers of KVM', async () => {
    expect((await ask('G2', 'aarch64', ...modules)).finding?.status).toBe('passed')
    expect((await ask('G2', 'aarch64', ...modules.slice(1))).finding?.observed).toContain('no virtio_blk')
    expect((await ask('G2', 'x86_64', ...modules)).finding?.observed).toContain('no vmw_pvscsi')
  })

  it('needs no tools of other hypervisors', async () => {
    const tools = ['vmtoolsd', 'xenstore-read', 'hv_kvp_daemon']
    const [arm, x86] = [(await ask('B7', 'aarch64')).asked, (await ask('B7', 'x86_64')).asked]
    expect(tools.filter((tool) => arm.includes(tool))).toEqual([])
    expect(tools.filter((tool) => !x86.includes(tool))).toEqual([])
    expect(arm).toContain('qemu-ga --version')
  })
})
