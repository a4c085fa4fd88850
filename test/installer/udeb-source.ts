/** Where the installer's own packages come from on this host: the mirror, or what `INSTALLER_UDEBS` says to do without. */

import { join } from 'node:path'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { udebArchiveOf } from '../../src/debian/archives.ts'
import { probeUdebsOf } from '../../src/installers/debian-installer/udebs.ts'
import { kernelOf, tryNetboot } from './live.ts'
import { serveUdebs, udebSuite } from './udeb-repository.ts'

export interface UdebSource {
  /** Values of the configuration that lead there. */
  readonly mirror: {
    readonly debian?: string
    readonly udebs?: { readonly suite: string; readonly keyring: string }
  }
  readonly close: () => void
}

const direct: UdebSource = { mirror: {}, close: () => undefined }

/** Finds it, or says in a line why there is none. `folder` is for what is made. */
export async function findUdebs(image: ResolvedImage, folder: string): Promise<UdebSource | string> {
  const { hasUdebs, reason } = await probeUdebsOf(image)
  if (hasUdebs) return direct
  const given = process.env.INSTALLER_UDEBS
  if (given === undefined || given === '') return `${reason}; INSTALLER_UDEBS says nothing of others`
  if (given !== 'remake') {
    const [suite = '', keyring = ''] = given.split('=')
    return { ...direct, mirror: { udebs: { suite, keyring } } }
  }
  const medium = await tryNetboot(image)
  if (typeof medium === 'string') return medium
  const { url, keyring, close } = await serveUdebs(
    udebArchiveOf(image),
    join(folder, 'udebs'),
    await kernelOf(medium),
  )
  return {
    mirror: { debian: url, udebs: { suite: udebSuite, keyring } },
    close,
  }
}
