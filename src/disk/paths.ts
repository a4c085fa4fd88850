/** Resolves paths on a disk the way the booted system does. */

/** The parts of a file needed to follow links. */
interface Linkable {
  readonly type: string
  readonly target: string | undefined
}

/** The kernel's limit for links followed in one path. */
const maximumLinks = 40

/** Where a path leads once every link is followed; undefined if nowhere. */
export function followPath(files: ReadonlyMap<string, Linkable>, path: string): string | undefined {
  let reached = ''
  let links = 0
  const left = path.split('/').reverse()
  while (left.length > 0) {
    const name = left.pop() ?? ''
    if (name === '' || name === '.') continue
    if (name === '..') {
      reached = reached.slice(0, Math.max(0, reached.lastIndexOf('/')))
      continue
    }
    const next = `${reached}/${name}`
    const file = files.get(next)
    if (file === undefined) return undefined
    if (file.type !== 'link' || file.target === undefined) {
      reached = next
      continue
    }
    links += 1
    if (links > maximumLinks) return undefined
    if (file.target.startsWith('/')) reached = ''
    left.push(...file.target.split('/').reverse())
  }
  return reached === '' ? '/' : reached
}
