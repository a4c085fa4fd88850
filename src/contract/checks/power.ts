/** Checks that the power button turns a guest off. */

import { failed, passed, type SceneCheck } from '../check.ts'

const powerButton: SceneCheck = {
  id: 'B12',
  group: 'boot',
  at: 'scene',
  scenes: ['boot', 'no-data', 'virtualbox'],
  endsGuest: true,
  does: 'presses the power button, and waits for the machine to go off',
  run: async ({ guest, limit }) => {
    const started = performance.now()
    await guest.qmp.execute('system_powerdown')
    const seconds = limit(20)
    if (!(await guest.hasEnded(seconds))) return failed(`still on after ${seconds} s`)
    return passed(`off after ${((performance.now() - started) / 1000).toFixed(0)} s`)
  },
}

export const powerChecks: readonly SceneCheck[] = [powerButton]
