/** Packages that earlier builds of this project have downloaded, so that tests need not. */

import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Puts them into an output folder; without any, a build downloads what it needs. */
export async function seedPackages(outFolder: string): Promise<void> {
  const packages = fileURLToPath(new URL('../../out/cache/packages', import.meta.url))
  await mkdir(join(outFolder, 'cache'), { recursive: true })
  await cp(packages, join(outFolder, 'cache', 'packages'), { recursive: true }).catch(() => undefined)
}
