/** Files and folders on the host, followed in whatever way an editor writes them. */

import { realpathSync } from 'node:fs'
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
  // A replaced file is a different file: only its folder sees the change.
  const watcher = watch([], {
    ignored: (path) => !folders.has(path) && !isIn(path, followed),
    ignoreInitial: true,
    followSymlinks: false,
  })
  watcher.on('all', settle)
  // What cannot be followed, such as a link to itself, cannot be read either, and reading it reports that.
  const ignore = () => undefined
  watcher.on('error', ignore)
  return {
    add: (paths) => {
      const both = [...paths].flatMap((path) => [path, behindLinks(path)])
      const more = [...new Set(both)].filter((path) => !followed.has(path))
      for (const path of more) {
        followed.add(path)
        folders.add(dirname(path))
      }
      if (more.length > 0) watcher.add([...more.map((path) => dirname(path)), ...more])
    },
    close: async () => {
      clearTimeout(timer)
      const closing = watcher.close()
      // It has dropped its listeners, but may not have finished what it was looking at.
      watcher.on('error', ignore)
      await closing
    },
  }
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
