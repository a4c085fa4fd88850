/** Paths of a disk, as the booted system would follow them. */

/** As much of a file as it takes to follow links. */
interface Linkable {
  readonly type: string
  readonly target: string | undefined
}

/** As many links in a row as the kernel follows. */
const maximumLinks = 40

/** The path that a path leads to, with every link followed; undefined where it leads nowhere. */
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
