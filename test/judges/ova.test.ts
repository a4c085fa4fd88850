import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import { exportOva } from '../../src/formats/ova.ts'
import { sha256File } from '../../src/host/hash-file.ts'
import { ovaOptions, vmwareFields } from '../../src/targets/vmware.ts'
import { makeRawDisk } from '../support/disks.ts'
import { useFolder } from '../support/folder.ts'
import { describeJudge, hasLibrary, hasProgram, judgedBytes, judgedContent, readByLibrary } from './judges.ts'

const path = useFolder()
const disk = () => makeRawDisk(path('disk.raw'), judgedBytes, judgedContent)

async function make(): Promise<Buffer> {
  const options = {
    name: 'sample',
    ...ovaOptions(vmwareFields.parse({})),
    sourceDateEpoch: 1_767_312_000,
    key: 'key',
  }
  await exportOva(disk(), path('image.ova'), options, () => undefined, new AbortController().signal)
  return readFileSync(path('image.ova'))
}

describeJudge('libvmdk', { 'python3-libvmdk': hasLibrary('pyvmdk') }, () => {
  it('reads the VMDK in an OVA as the disk', async () => {
    await make()
    execFileSync('tar', ['-xf', path('image.ova'), '-C', path()])
    const sum = await sha256File(path('disk.raw'))
    expect(readByLibrary('pyvmdk', path('sample-disk1.vmdk'))).toBe(`${judgedBytes} ${sum}`)
  })
})

const govmomi = { govc: hasProgram('govc'), vcsim: hasProgram('vcsim') }

describeJudge('govc and vcsim', govmomi, () => {
  const importing = async (file: string) => {
    const vcsim = spawn('vcsim', { stdio: ['pipe', 'pipe', 'ignore'] })
    try {
      let url = ''
      for await (const line of createInterface({ input: vcsim.stdout })) {
        url = /https?:\/\/\S+/.exec(line)?.[0] ?? ''
        if (url !== '') break
      }
      const env = { ...process.env, GOVC_URL: url, GOVC_INSECURE: '1', GOVC_HOST: 'DC0_H0' }
      const govc = (...commandArguments: string[]) =>
        spawnSync('govc', commandArguments, { env, encoding: 'utf8', timeout: 15_000 })
      const pool = ['-ds=LocalDS_0', '-pool=DC0_H0/Resources', '-folder=vm']
      const { status, stderr } = govc('import.ova', ...pool, '-name=sample', file)
      const machine = JSON.parse(govc('vm.info', '-json', 'sample').stdout || '{}')
      const devices = govc('device.ls', '-vm', 'sample').stdout
      return { status, stderr, config: machine.virtualMachines?.[0]?.config, devices }
    } finally {
      vcsim.kill()
    }
  }

  it('make a virtual machine of it', async () => {
    await make()
    const { status, stderr, config, devices } = await importing(path('image.ova'))
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(config).toMatchObject({
      guestId: 'otherLinux64Guest',
      version: 'vmx-13',
      hardware: { memoryMB: 256, numCPU: 1 },
    })
    expect(devices).toMatch(/\bVirtualLsiLogicController\b/)
    expect(devices.match(/\bVirtualDisk\b/g)).toHaveLength(1)
    expect(devices).not.toMatch(/E1000|Vmxnet/)
  })

  it('refuse one whose controller they do not know', async () => {
    const tar = await make()
    tar.write('lsilogix', tar.indexOf('>lsilogic<') + 1)
    writeFileSync(path('bad.ova'), tar)
    const { status, stderr } = await importing(path('bad.ova'))
    expect(status).not.toBe(0)
    expect(stderr).toContain('lsilogix')
  })
})

const ova = process.env.JUDGED_OVA

// Skipped unless somebody names an OVA: it starts a guest of its own and looks for a system, five minutes without KVM.
describe.skipIf(ova === undefined)('virt-v2v (JUDGED_OVA names the OVA of a system)', () => {
  it('takes the virtual machine out of an OVA, and finds its system bootable', () => {
    const words = ['-i', 'ova', ova as string, '-o', 'null']
    const env = { ...process.env, LIBGUESTFS_BACKEND: 'direct' }
    const { status, stdout, stderr } = spawnSync('virt-v2v', words, { env, encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('Finishing off')
  })
})
