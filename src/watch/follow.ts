/** Files and folders on the host, followed in whatever way an editor writes them. */

import { type FSWatcher as FolderWatcher, realpathSync, statSync, watch as watchFolder } from 'node:fs'
import { dirname, sep } from 'node:path'
import { watch } from 'chokidar'

export interface Follower {
  /**
   * From now on also follows these absolute paths: files, or folders with everything in them. A file need not exist. A path
   * may be a link; a link inside a folder is not followed, since it is copied as it is, and refers to a path in the guest.
   */
  readonly add: (paths: Iterable<string>) => void
  readonly close: () => Promise<void>
}

/** An editor renames, truncates and writes in quick succession; a file that is read in between is incomplete. */
const settleMs = 60

/**
 * @param onChange called once a followed path has changed, appeared or disappeared, and nothing more has happened for a
 * moment; with the time of the first change, by `performance.now()`
 */
export function followFiles(onChange: (changedMs: number) => void): Follower {
  const followed = new Set<string>()
  /** The folders that followed paths are in. */
  const folders = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let firstMs: number | undefined
  const settle = () => {
    firstMs ??= performance.now()
    clearTimeout(timer)
    timer = setTimeout(() => {
      const changedMs = firstMs as number
      firstMs = undefined
      onChange(changedMs)
    }, settleMs)
  }
  let looking: NodeJS.Timeout | undefined
  /** Looks soon, and not for every file of a folder that many are written to. */
  const lookSoon = () => {
    looking ??= setTimeout(look, settleMs)
  }
  const isIgnored = (path: string) => !folders.has(path) && !isIn(path, followed)
  let current = startWatcher(isIgnored, settle, lookSoon)
  const above = watchAbove(lookSoon)
  const closing: Promise<void>[] = []
  /** Which folder was at a path when it began to be followed. */
  const seen = new Map<string, string>()
  const note = () => {
    for (const path of [...folders, ...current.folders()])
      if (!seen.has(path)) seen.set(path, identityOf(path))
    above.keep(new Set([...folders].map((path) => nearest(dirname(path)))))
  }
  /** What is watched is a folder, not its path: one that was replaced, or came back, is another. */
  function look(): void {
    clearTimeout(looking)
    looking = undefined
    const isReplaced = [...new Set([...folders, ...current.folders()])].some((path) => {
      const [before, now] = [seen.get(path), identityOf(path)]
      // chokidar sees what disappears from a folder that it watches.
      return before !== undefined && before !== now && (folders.has(path) || now !== gone)
    })
    if (isReplaced) {
      closing.push(current.close())
      seen.clear()
      for (const path of folders) seen.set(path, identityOf(path))
      current = startWatcher(isIgnored, settle, lookSoon)
      current.add([...folders, ...followed])
      // Nobody watched in between.
      current.onReady(settle)
      settle()
    }
    note()
  }
  return {
    add: (paths) => {
      const both = [...paths].flatMap((path) => [path, behindLinks(path)])
      const more = [...new Set(both)].filter((path) => !followed.has(path))
      for (const path of more) {
        followed.add(path)
        folders.add(dirname(path))
      }
      for (const path of folders) if (!seen.has(path)) seen.set(path, identityOf(path))
      if (more.length > 0) current.add([...more.map((path) => dirname(path)), ...more])
      look()
    },
    close: async () => {
      clearTimeout(timer)
      clearTimeout(looking)
      above.keep(new Set())
      await Promise.all([...closing, current.close()])
    },
  }
}

// --- internal ---

// What cannot be followed, such as a link to itself, cannot be read either, and reading it reports that.
const ignore = () => undefined

/** A replaced file is a different file: only its folder sees the change. */
function startWatcher(isIgnored: (path: string) => boolean, onChange: () => void, onRaw: () => void) {
  const watcher = watch([], { ignored: isIgnored, ignoreInitial: true, followSymlinks: false })
  watcher.on('all', onChange).on('raw', onRaw).on('error', ignore)
  return {
    add: (paths: string[]) => watcher.add(paths),
    onReady: (act: () => void) => watcher.once('ready', act),
    folders: () => Object.keys(watcher.getWatched()),
    close: async () => {
      const closing = watcher.close()
      // It has dropped its listeners, but may not have finished what it was looking at.
      watcher.on('error', ignore)
      await closing
    },
  }
}

/** Watches the folders that other folders are in: a folder that is renamed along with the one above it sees nothing. */
function watchAbove(onChange: () => void) {
  const watchers = new Map<string, { readonly identity: string; readonly watcher: FolderWatcher }>()
  const stop = (path: string) => {
    watchers.get(path)?.watcher.close()
    watchers.delete(path)
  }
  return {
    /** Watches these, and no others. */
    keep: (paths: ReadonlySet<string>) => {
      for (const path of watchers.keys()) if (!paths.has(path)) stop(path)
      for (const path of paths) {
        const identity = identityOf(path)
        if (watchers.get(path)?.identity === identity) continue
        stop(path)
        try {
          const watcher = watchFolder(path, onChange)
          watcher.on('error', () => watcher.close())
          watchers.set(path, { identity, watcher })
        } catch {
          // As good as a folder that cannot be followed.
        }
      }
    },
  }
}

const gone = 'gone'

/** Tells folders apart that were at the same path one after the other. */
function identityOf(path: string): string {
  try {
    const { dev, ino, birthtimeNs } = statSync(path, { bigint: true })
    return `${dev} ${ino} ${birthtimeNs}`
  } catch {
    return gone
  }
}

/** The lowest folder above a path, or the path itself, that exists. */
function nearest(path: string): string {
  let at = path
  while (identityOf(at) === gone && dirname(at) !== at) at = dirname(at)
  return at
}

/** The target of a path; the path itself if it leads nowhere. */
function behindLinks(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function isIn(path: string, followed: ReadonlySet<string>): boolean {
  for (let at = path; ; at = dirname(at)) {
    if (followed.has(at)) return true
    if (dirname(at) === at || !at.includes(sep)) return false
  }
}
