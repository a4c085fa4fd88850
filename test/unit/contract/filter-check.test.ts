/** The check that a boot begins with the packet filter, as systemd's answers are read. */

import { expect, it } from 'vitest'
import { sceneChecksOf } from '../../../src/contract/registry.ts'
import type { Scene } from '../../../src/contract/scenes.ts'

/** @param answers systemd's, about the filter and about the network */
async function ask(...answers: readonly string[]) {
  const check = sceneChecksOf('secstorage', 'cloudstack').find(({ id }) => id === 'F8')
  const guest = { run: async () => ({ exitCode: 0, stdout: answers.join('\n'), stderr: '' }) }
  return (await check?.run({ guest } as unknown as Scene))?.status
}

it.each([
  ['loaded before the network', 'active 5000000 5100000', 'passed'],
  ['loaded after the network', 'active 7000000 9000000', 'failed'],
  ['never started', 'inactive 0 0', 'failed'],
  ['that failed', 'failed 5000000 0', 'failed'],
])('a filter %s', async (_case, filter, status) => {
  expect(await ask(filter, 'active 8000000 8200000')).toBe(status)
})
