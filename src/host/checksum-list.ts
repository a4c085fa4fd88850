/** Lists of checksums, in the format of `sha256sum` and similar tools. */

export interface ChecksumList {
  /** By file name, without a leading `./`. */
  readonly checksums: Map<string, string>
  /** Lines that are not about a file. */
  readonly others: readonly string[]
}

export function readChecksumList(text: string): ChecksumList {
  const checksums = new Map<string, string>()
  const others: string[] = []
  for (const line of text.split('\n')) {
    const [, checksum, name] = /^([0-9a-f]+) [ *](?:\.\/)?(.+)$/s.exec(line) ?? []
    if (checksum !== undefined && name !== undefined) checksums.set(name, checksum)
    else if (line !== '') others.push(line)
  }
  return { checksums, others }
}

/** Checksums by file name. */
export function parseChecksums(text: string): ReadonlyMap<string, string> {
  return readChecksumList(text).checksums
}

/** Sorted by name. Lines in no known format belong to someone else; they stay, before the rest. */
export function renderChecksumList({ checksums, others }: ChecksumList): string {
  const lines = [...checksums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, checksum]) => `${checksum}  ${name}`)
  return [...others, ...lines].map((line) => `${line}\n`).join('')
}
