/** The quickest way in which the real installer comes to a halt; `npm run test:installer` has the others. */

import { expect, it } from 'vitest'
import { runUntilFailure, tinyImage, tryNetboot } from '../installer/live.ts'

it('an installer that has no preseed is named, ended, and leaves nothing running', async (context) => {
  const image = await tinyImage()
  const medium = await tryNetboot(image)
  // Skipped without a mirror whose installer is the one that its signed lists vouch for.
  if (typeof medium === 'string') return context.skip(`no installer to boot: ${medium}`)
  const run = await runUntilFailure({ image, medium, limitSeconds: 400 })
  expect(run.error.code, run.syslog).toBe('installer-preseed-missing')
  expect(run.error.details).toMatchObject({ phase: 'preseed', question: 'preseed/retrieve_error' })
  expect(run.left, 'left running').toBe(0)
})
