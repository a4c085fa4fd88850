/** Acts as the host while CloudStack's own first boot waits: copies in scripts and an agent over SSH. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Scene } from './scenes.ts'

/** Where the agent is unpacked. */
export const agentFolder = '/usr/local/cloud/systemvm'

/**
 * Makes an archive of an agent that only stays alive. Its key store is invalid, which ends the import early: importing
 * 140 certificates takes an emulated guest minutes and would show nothing.
 */
const makeAgent = `cd "$(mktemp -d)" && mkdir certs conf && echo x >certs/systemvm.keystore &&
echo instance= >conf/agent.properties && printf '#!/bin/sh\\nexec sleep infinity\\n' >_run.sh && chmod 0755 _run.sh &&
zip -qr /var/cache/cloud/agent.zip .`

/** The host copies the agent first, so that it is there when the scripts arrive. */
const copy = 'cp /usr/share/cloud/cloud-scripts.tgz /var/cache/cloud/'

/** Copies in the scripts the image already has, as a management server of the same release would. */
export async function copyScripts({ guest, ssh, limit }: Scene): Promise<void> {
  for (const end = guest.seconds() + limit(300); guest.seconds() < end; ) {
    if ((await ssh(`${makeAgent} && ${copy}`, { withKey: true })).exitCode === 0) return
    // The guest waits two minutes, then continues without them; C10 reports SSH problems.
    if ((await guest.run('test -e /var/cache/cloud/boot_up_done')).exitCode === 0) return
    await sleep(5000, undefined, { signal: guest.options.signal })
  }
}
