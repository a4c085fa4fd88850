/** The host's part while CloudStack's own first boot waits: scripts and an agent, copied in over SSH. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Scene } from './scenes.ts'

/** Where the agent is unpacked. */
export const agentFolder = '/usr/local/cloud/systemvm'

/**
 * Makes an archive of an agent that only stays alive. Its key store is none, which ends an import early: that of 140
 * certificates takes an emulated guest minutes, and would tell nothing.
 */
const makeAgent = `cd "$(mktemp -d)" && mkdir certs conf && echo x >certs/systemvm.keystore &&
echo instance= >conf/agent.properties && printf '#!/bin/sh\\nexec sleep infinity\\n' >_run.sh && chmod 0755 _run.sh &&
zip -qr /var/cache/cloud/agent.zip .`

/** The host copies the agent first, so that it is there once the scripts are. */
const copy = 'cp /usr/share/cloud/cloud-scripts.tgz /var/cache/cloud/'

/** Copies in the very scripts that the image has, as a management server of the same release would. */
export async function copyScripts({ guest, ssh, limit }: Scene): Promise<void> {
  for (const end = guest.seconds() + limit(300); guest.seconds() < end; ) {
    if ((await ssh(`${makeAgent} && ${copy}`, { withKey: true })).exitCode === 0) return
    // The guest waits for two minutes, and then goes on without them: of SSH, C10 tells.
    if ((await guest.run('test -e /var/cache/cloud/boot_up_done')).exitCode === 0) return
    await sleep(5000, undefined, { signal: guest.options.signal })
  }
}
