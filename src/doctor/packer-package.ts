/** Packer for a Debian or Ubuntu release without it: Debian 12's package, which depends only on the C library. */

import { chmod } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { DebianArch } from '../arch.ts'
import { findListedPackage, mostIndexBytes } from '../debian/packages-index.ts'
import { fetchListed, verifyRelease } from '../debian/release.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { gunzip } from '../host/gunzip.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { writeFile } from '../host/writing.ts'

export interface PackerSource {
  /** Mirror URL without a trailing slash. */
  readonly mirror: string
  readonly suite: string
  /** Keyring with the keys that must have signed the suite. */
  readonly keyring: string
  readonly arch: DebianArch
}

/** The last Debian suite with the package, for this host; undefined if it has no build for the host's architecture. */
export function defaultPackerSource(keyring: string): PackerSource | undefined {
  const arch = ({ x64: 'amd64', arm64: 'arm64' } as const)[process.arch as string]
  if (arch === undefined) return undefined
  return { mirror: 'http://deb.debian.org/debian', suite: 'bookworm', keyring, arch }
}

/**
 * Downloads the package, verifies it against the suite's signature, passes its path to `install`, and then deletes the file.
 * @throws PipelineError with a code that starts with `mirror-`, `keyring-` or `setup-`
 */
export async function withPackerPackage(
  source: PackerSource,
  install: (path: string) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const release = await verifyRelease({ ...source, url: source.mirror, components: ['main'] }, { signal })
  const indexPath = `main/binary-${source.arch}/Packages.gz`
  const index = release.files.get(indexPath)
  if (index === undefined) throw notThere(source, indexPath)
  const indexUrl = `${source.mirror}/dists/${source.suite}/${indexPath}`
  const packed = await fetchListed(indexUrl, index, { signal })
  const text = (await gunzip(packed, mostIndexBytes, indexUrl)).toString('utf8')
  const listed = findListedPackage(text, 'packer')
  if (listed === undefined) throw notThere(source, 'packer')
  const content = await fetchListed(`${source.mirror}/${listed.fileName}`, listed, { signal })

  await inWorkFolder(async (folder) => {
    // apt reads it as a user of its own.
    await chmod(folder, 0o755)
    const path = join(folder, basename(listed.fileName))
    await writeFile(path, content)
    await install(path)
  })
}

function notThere({ mirror, suite }: PackerSource, what: string): PipelineError {
  return new PipelineError({
    code: 'setup-packer-missing',
    message: `${suite} at ${mirror} has no ${what}`,
    hint: 'use another mirror, or get Packer from https://developer.hashicorp.com/packer/install',
    exitCode: exitCodes.hostNotFit,
    details: { mirror, suite },
  })
}
