/** Checks how CloudStack's own first boot handles the files that its host copies in. */

import { judge, type SceneCheck } from '../check.ts'
import { agentFolder } from '../copy-scripts.ts'
import { linesOf } from '../lines-of.ts'

const agentOfSameScripts: SceneCheck = {
  id: 'E6',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage', 'consoleproxy'],
  contracts: ['cloudstack-payload'],
  needs: 'taken',
  does: 'copies an agent and the scripts of the image in over SSH while first boot waits, and looks for both',
  run: async ({ guest }) => {
    const script = `[ -x ${agentFolder}/_run.sh ] || echo "no agent in ${agentFolder}"
      s=$(sha512sum </usr/share/cloud/cloud-scripts.tgz)
      grep -qx "\${s%% *}" /var/cache/cloud/cloud-scripts-signature || echo "the signature is of other scripts"`
    return judge(await linesOf(guest, script), `in ${agentFolder}, by scripts with the same signature`)
  },
}

export const patchingChecks: readonly SceneCheck[] = [agentOfSameScripts]
