/** Files of an image that cost much to read: whoever made the image may have filled them with anything. */

import { expect, it } from 'vitest'
import { contentChecksOf } from '../../../src/contract/registry.ts'
import { readOvf } from '../../../src/formats/ovf-facts.ts'
import { fakeImageFiles } from '../../support/image-files.ts'

/** Long enough that time by its square is ten times what is allowed here, on any processor of today. */
const bytes = 64 * 1024

/** Processor time, which other programs on the host do not change. */
async function secondsOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

it.each([
  ['/boot/grub/grub.cfg', ['A6', 'G11'], '\n'],
  ['/usr/lib/modules/6.12/modules.dep', ['G7'], 'a'],
  ['/usr/lib/modules/6.12/modules.builtin', ['G7'], 'a.ko.'],
  ['/etc/resolv.conf', ['G9'], '\n'],
  ['/etc/iproute2/rt_tables', ['A15'], '\n'],
  ['/etc/apache2/apache2.conf', ['A18'], `<Directory /var/www>${'\n'.repeat(bytes)}</Directory>`],
  ['/etc/sudoers', ['A14'], `a${' '.repeat(bytes)}`],
])('%s is checked by %j in time proportional to it, whatever it repeats', async (path, ids, unit) => {
  const text = unit.repeat(Math.ceil(bytes / unit.length))
  const files = fakeImageFiles({ files: { '/usr/lib/modules/6.12/kernel': 'folder', [path]: text } })
  const checks = contentChecksOf('cloudstack').filter(({ id }) => (ids as string[]).includes(id))
  expect(checks).toHaveLength(ids.length)
  const expected = { arch: 'x86_64' as const, account: 'cloud', release: '4.22.0' }
  for (const check of checks) expect(await secondsOf(() => check.run({ files, expected }))).toBeLessThan(1)
})

it.each(['<Item>', '<Item ', 'x:osType ', '<OperatingSystemSection '])(
  'a description of a machine is read in time proportional to it, however often it has %j',
  async (unit) => {
    const xml = unit.repeat((8 * bytes) / unit.length)
    expect(await secondsOf(() => readOvf(xml))).toBeLessThan(2)
  },
)
