/** Whether two images hold the same files. */

import { expect } from 'vitest'
import { openRoot } from '../e2e/disk.ts'
import tiny from '../fixtures/tiny/pipeline.ts'

/** Files that the tiny pipeline makes. */
const made = ['/etc/greeting', '/opt/tree/run.sh', '/etc/hostname', '/var/lib/dpkg/status']

export async function expectSameContent(one: string, other: string): Promise<void> {
  const [first, second] = await Promise.all(
    [one, other].map(async (image) => {
      const root = await openRoot(image, tiny.disk as Parameters<typeof openRoot>[1])
      try {
        return await Promise.all([...made.map((path) => root.read(path)), root.list('/opt')])
      } finally {
        await root.close()
      }
    }),
  )
  expect(second).toEqual(first)
}
