/** Check for programs that belong to no package. */

import { createHash } from 'node:crypto'
import { type ImageFiles, namesIn, readText } from '../../disk/image-files.ts'
import { type ContentCheck, failed, judge } from '../check.ts'
import type { Expected } from '../expected.ts'

/** Folders that contain programs. `/usr/local` and `/opt` belong to CloudStack. */
const programFolders = ['/usr/bin', '/usr/sbin', '/usr/libexec']

export const packages: ContentCheck = {
  id: 'F5',
  group: 'hygiene',
  at: 'content',
  does: 'looks for programs in /usr/bin, /usr/sbin and /usr/libexec that belong to no package, and compares checksums of those that the pipeline names',
  run: async ({ files, expected }) => {
    const lists = (await namesIn(files, '/var/lib/dpkg/info')).filter((name) => name.endsWith('.list'))
    const texts = await files.readAll(lists.map((name) => `/var/lib/dpkg/info/${name}`))
    // Packages older than the merge of /bin into /usr/bin list their files at the old paths.
    const owned = new Set(
      [...texts.values()].flatMap((text) =>
        text
          .toString()
          .split('\n')
          .map((path) => path.replace(/^\/(s?bin)\//, '/usr/$1/')),
      ),
    )
    const diverted = (await readText(files, '/var/lib/dpkg/diversions')) ?? ''
    for (const path of diverted.split('\n')) owned.add(path.replace(/^\/(s?bin)\//, '/usr/$1/'))
    const foreign: string[] = []
    const named: string[] = []
    let count = 0
    for (const folder of programFolders) {
      for (const { name, type, target } of await files.list(folder)) {
        const path = `${folder}/${name}`
        // update-alternatives makes these links, and no package lists them.
        if (type === 'folder' || target?.startsWith('/etc/alternatives/')) continue
        count += 1
        if (owned.has(path)) continue
        const source = await sourceOf(files, path, expected)
        if (source === undefined) foreign.push(path)
        else named.push(`${path} from ${source}`)
      }
    }
    if (lists.length === 0) return failed('there is no list of packages')
    return judge(foreign, [`${count} programs of ${lists.length} packages`, ...named].join(', '))
  },
}

// --- internal ---

/** The URL from which the pipeline downloads a program, if its checksum matches. */
async function sourceOf(
  files: ImageFiles,
  path: string,
  { downloads = [] }: Expected,
): Promise<string | undefined> {
  const bytes = downloads.length === 0 ? undefined : await files.read(path)
  return downloads.find(
    ({ checksum }) =>
      bytes !== undefined &&
      checksum !== undefined &&
      createHash(checksum.algorithm).update(bytes).digest('hex') === checksum.hex,
  )?.location
}
