/** Checks that each machine generates its own host keys and machine ID. */

import { failed, judge, passed, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { everyFile } from '../scenes.ts'

const freshKeys: SceneCheck = {
  id: 'F1',
  group: 'boot',
  at: 'scene',
  scenes: everyFile,
  does: 'looks for host keys that are newer than the boot',
  run: async ({ guest }) => {
    const keys = await linesOf(
      guest,
      'find /etc/ssh -name "ssh_host_*_key" -newer /proc/1/stat -o -name "ssh_host_*_key" -mmin -60',
    )
    return keys.length === 0
      ? failed('there are none')
      : passed(keys.map((path) => path.split('/').at(-1)).join(' '))
  },
}

const freshId: SceneCheck = {
  id: 'F2',
  group: 'boot',
  at: 'scene',
  scenes: everyFile,
  does: 'reads /etc/machine-id',
  run: async ({ guest }) => {
    const [id = ''] = await linesOf(guest, 'cat /etc/machine-id')
    return judge(/^[0-9a-f]{32}$/.test(id) ? [] : [`it is ${JSON.stringify(id)}`], 'made at boot')
  },
}

export const identityChecks: readonly SceneCheck[] = [freshKeys, freshId]
