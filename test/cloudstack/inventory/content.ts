/** What an image has of what scripts need, by the files on its disk alone. */

import { type DiskFile, type DiskFiles, openDisk } from '../../../src/disk/disk-files.ts'
import { followPath } from '../../../src/disk/paths.ts'
import type { Need } from './needs.ts'
import { readShell } from './shell.ts'

export interface ImageContent {
  readonly suite: string
  /** Undefined where it has what is needed; else what is wrong. */
  readonly lacks: (need: Pick<Need, 'kind' | 'name' | 'verbs'>) => string | undefined
}

const programFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin']
const unitFolders = ['/etc/systemd/system', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system']

/** @param compiledModules modules that the interpreter itself may have in it */
export async function readImage(
  file: string,
  workFolder: string,
  compiledModules: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ImageContent> {
  const disk = await openDisk(file, { workFolder, signal })
  try {
    return await describeContent(disk, compiledModules)
  } finally {
    await disk.close()
  }
}

// --- internal ---

async function describeContent(disk: DiskFiles, compiledModules: ReadonlySet<string>): Promise<ImageContent> {
  const files = await disk.list()
  const at = (path: string): DiskFile | undefined => {
    const real = followPath(files, path)
    return real === undefined ? undefined : files.get(real)
  }
  const modules = await kernelModules(disk, files)
  const suite = /VERSION_CODENAME=(\w+)/.exec((await disk.read('/usr/lib/os-release'))?.toString() ?? '')?.[1]
  const pythonFolders = [...files.keys()].filter((path) =>
    /^\/usr\/lib\/python3[.\d]*(\/(lib-dynload|dist-packages))?$/.test(path),
  )
  const pythonNames = new Set(compiledModules)
  for (const path of files.keys()) {
    const folder = pythonFolders.find(
      (one) => path.startsWith(`${one}/`) && !path.slice(one.length + 1).includes('/'),
    )
    if (folder !== undefined) pythonNames.add(path.slice(folder.length + 1).replace(/\..*$/, ''))
  }
  const extensions = new Set(['ACCEPT', 'DROP', 'RETURN'])
  for (const path of files.keys()) {
    const name = /\/xtables\/lib(?:xt|ipt|ip6t)_(\w+)\.so$/.exec(path)?.[1]
    if (name !== undefined) extensions.add(name)
  }
  // What scripts read in before they do anything.
  const lsb = readShell((await disk.read('/usr/lib/lsb/init-functions'))?.toString() ?? '').functions
  const lacks: ImageContent['lacks'] = ({ kind, name, verbs }) => {
    switch (kind) {
      case 'program': {
        const found = programFolders
          .map((folder) => at(`${folder}/${name}`))
          .filter((one) => one !== undefined)
        if (found.length === 0 && lsb.has(name)) return undefined
        if (found.length === 0) return 'is in no folder of programs'
        return found.some(({ mode }) => (mode & 0o111) === 0o111) ? undefined : 'cannot be run'
      }
      case 'python module':
        return pythonNames.has(name.split('.')[0] ?? '') ? undefined : 'is no module of its Python'
      case 'kernel module':
        return modules.has(name.replaceAll('-', '_')) ? undefined : 'is not in its kernel'
      case 'iptables extension':
        return extensions.has(name) ? undefined : 'is no extension of its iptables'
      case 'path':
        return at(name) === undefined ? 'is not there' : undefined
      case 'unit':
        return faultOfUnit(files, name, verbs)
      default:
        return kind satisfies never
    }
  }
  return { suite: suite ?? 'unknown', lacks }
}

/** Follows what systemd does with a name: a file of /etc before one of /usr, then a script of System V. */
function faultOfUnit(
  files: ReadonlyMap<string, DiskFile>,
  name: string,
  verbs: ReadonlySet<string>,
): string | undefined {
  const unit = /\.(service|timer|target|socket|path|mount)$/.test(name) ? name : `${name}.service`
  const path = unitFolders.map((folder) => `${folder}/${unit}`).find((one) => files.has(one))
  if (path === undefined) return files.has(`/etc/init.d/${name}`) ? undefined : 'is no unit'
  const file = files.get(path) as DiskFile
  if (file.type !== 'link') return undefined
  if (file.target === '/dev/null') return 'is masked'
  if (path.startsWith('/etc/') && verbs.has('enable')) return 'is an alias in /etc, which cannot be enabled'
  return followPath(files, path) === undefined ? 'is a link to nothing' : undefined
}

async function kernelModules(
  disk: DiskFiles,
  files: ReadonlyMap<string, DiskFile>,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  for (const path of files.keys()) {
    const name = /^\/usr\/lib\/modules\/.*\/([^/]+)\.ko(\.\w+)?$/.exec(path)?.[1]
    if (name !== undefined) names.add(name.replaceAll('-', '_'))
  }
  const lists = [...files.keys()].filter((path) =>
    /^\/usr\/lib\/modules\/[^/]+\/modules\.builtin$/.test(path),
  )
  for (const text of (await disk.readMany(lists)).values()) {
    for (const [, name = ''] of text.toString().matchAll(/([^/\n]+)\.ko$/gm))
      names.add(name.replaceAll('-', '_'))
  }
  return names
}
