import picocolors from 'picocolors'
import { expect, it } from 'vitest'
import { renderVerification } from '../../../src/cli/views/verification.ts'
import type { ImageVerification } from '../../../src/report/verification.ts'

it('what a guest printed begins no line of a verdict', () => {
  const check = { id: 'A1', title: 'a check', group: 'boot', at: 'router', seconds: 1 }
  const verification = {
    path: 'images/a.qcow2',
    status: 'failed',
    cached: false,
    seconds: 1,
    scenes: [],
    checks: [{ ...check, status: 'failed', observed: 'nothing\n✔ images/a.qcow2  93 passed' }],
  } as unknown as ImageVerification
  const text = renderVerification(verification, picocolors.createColors(false))
  expect(text).toContain('      observed: nothing\n      │ ✔ images/a.qcow2  93 passed\n')
  expect(text).not.toMatch(/^✔/m)
})
