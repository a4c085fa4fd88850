/** VirtualBox itself, where the host has it: no kernel module is needed to import a machine. */

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sha256File } from '../../src/host/hash-file.ts'
import { formatFields } from '../../src/targets/registry.ts'
import { virtualbox } from '../../src/targets/virtualbox.ts'
import { makeRawDisk } from '../support/disks.ts'
import { useFolder } from '../support/folder.ts'
import { hasProgram, judgedBytes, judgedContent } from './judges.ts'

const path = useFolder()

// Skipped where VirtualBox, the judge, is not there: Debian has it in sid alone, and GitHub's runners not at all.
describe.skipIf(!hasProgram('VBoxManage'))('VirtualBox (skipped where VBoxManage is missing)', () => {
  const manage = (...words: string[]) =>
    execFileSync('VBoxManage', words, {
      env: { ...process.env, HOME: path(), VBOX_USER_HOME: path('settings') },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 300_000,
    })

  const make = async (settings: Parameters<typeof formatFields.virtualbox.parse>[0] = {}) => {
    await virtualbox.write(
      {
        disk: makeRawDisk(path('disk.raw'), judgedBytes, judgedContent),
        settings: formatFields.virtualbox.parse(settings),
        fileName: 'sample',
        sourceDateEpoch: 1_767_312_000,
        key: 'key',
        grains: undefined,
        onProgress: () => undefined,
        signal: new AbortController().signal,
      },
      path('image.ova'),
    )
  }

  const importIt = () => manage('import', path('image.ova'), '--vsys', '0', '--basefolder', path('machines'))

  it('makes the machine without a question and without a warning', async () => {
    await make({ cpus: 2 })
    expect(importIt()).toContain('Successfully imported the appliance.')
    const facts = manage('showvminfo', 'sample', '--machinereadable').split('\n')
    for (const fact of [
      'ostype="Debian (64-bit)"',
      'memory=512',
      'cpus=2',
      'firmware="BIOS"',
      'storagecontrollertype0="IntelAhci"',
      'nic1="nat"',
      'nictype1="82540EM"',
      'nic2="none"',
    ])
      expect(facts).toContain(fact)
    expect(facts.filter((fact) => /^"SATA-\d+-0"=.*vmdk"$/.test(fact))).toHaveLength(1)
  })

  it('reads the disk as it is', async () => {
    await make()
    importIt()
    const [, disk = ''] =
      /^"SATA-0-0"="(.*)"$/m.exec(manage('showvminfo', 'sample', '--machinereadable')) ?? []
    manage('clonemedium', disk, path('clone.raw'), '--format', 'RAW')
    expect(await sha256File(path('clone.raw'))).toBe(await sha256File(path('disk.raw')))
  })

  it('refuses one whose manifest does not hold', async () => {
    await make()
    const tar = readFileSync(path('image.ova'))
    const line = 'SHA256(sample.ovf)= '
    tar.write('0000', tar.indexOf(line) + line.length)
    writeFileSync(path('bad.ova'), tar)
    expect(() => manage('import', path('bad.ova'))).toThrow(/manifest|digest/i)
  })
})
