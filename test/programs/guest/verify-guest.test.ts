/** A guest of `verify` on a disk that has nothing to boot: what is done with it from outside, and what its console says. */

import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import { agentPort, type Guest, type SavedGuest, startGuest } from '../../../src/guest/guest.ts'
import { deviceModels } from '../../../src/targets/registry.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const started: Guest[] = []

afterEach(async () => {
  for (const guest of started.splice(0)) await guest.close()
})

async function start(name: string, incoming?: SavedGuest): Promise<Guest> {
  mkdirSync(path(name))
  writeFileSync(path('empty'), '')
  truncateSync(path('empty'), 1024 ** 2)
  const guest = await startGuest({
    folder: path(name),
    backing: incoming?.disk ?? { driver: 'raw', file: { driver: 'file', filename: path('empty') } },
    diskBytes: 1024 ** 2,
    model: deviceModels['virtio-scsi'],
    acceleration: { arch: 'x86_64', accelerator: 'tcg', cpu: 'max' },
    cpus: 1,
    memoryMiB: 32,
    networks: [{ network: '10.250.0.0/24', host: '10.250.0.1' }],
    ports: [agentPort],
    incoming,
    signal: AbortSignal.timeout(30_000),
  })
  started.push(guest)
  return guest
}

describeWith(['qemu-system-x86_64', 'qemu-img', 'zstd'], 'a guest that is verified', () => {
  it('is stopped for good, and another one goes on from it', async () => {
    const first = await start('first')
    const saved = await first.save()
    expect(await first.hasEnded(0)).toBe(true)
    const second = await start('second', saved)
    expect(await second.qmp.execute('query-status')).toMatchObject({ status: 'running' })
  })

  it('does not start where there is no state to go on from', async () => {
    const saved = await (await start('first')).save()
    await expect(start('second', { ...saved, stateFile: path('none') })).rejects.toThrow('ENOENT')
  })

  it.each([
    ['grub rescue> ', 'guest-not-booted', 'GRUB found nothing to boot'],
    ['Give root password for maintenance', 'guest-emergency', 'emergency mode'],
    ['\u001b[31mKernel panic - not syncing\u001b[0m: int3', 'guest-panicked', 'not syncing: int3'],
  ])('that says %j is waited for no longer', async (line, code, message) => {
    const guest = await start('first')
    appendFileSync(path('first', 'serial.log'), `\u001b[0;38:5:185mbooting\u001b[0m\r\n${line}`)
    await expect(guest.waitForLogin(20)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
      details: { lastLines: ['booting', expect.not.stringContaining('\u001b')] },
    })
  })

  it('that is late says what may have hurt it', async () => {
    const guest = await start('first')
    appendFileSync(path('first', 'serial.log'), '[ 3.1] kernel BUG at mm/slub.c:448!\r\n')
    await expect(guest.waitForLogin(0.5)).rejects.toMatchObject({
      code: 'guest-silent',
      // A busy host is named too.
      message: expect.stringMatching(
        /^no login prompt on the serial console within 0\.5 s(; the host was busy.*)?; its kernel reported a bug: \[ 3\.1\] kernel BUG at mm\/slub\.c:448!$/,
      ),
    })
  })
})
