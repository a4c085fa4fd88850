/** Parses the version number of a CloudStack release. */

/** Four numbers: CloudStack rejects two, and its template converter strips the fourth unconditionally. */
export function fullVersion(release: string): string {
  return numbersOf(release).join('.')
}

/** A release's folder in a repository, e.g. `4.22`. */
export function repositoryFolder(release: string): string {
  return numbersOf(release).slice(0, 2).join('.')
}

export function isBefore(release: string, than: readonly number[]): boolean {
  const numbers = numbersOf(release)
  const index = than.findIndex((number, at) => number !== numbers[at])
  return index >= 0 && (numbers[index] as number) < (than[index] as number)
}

function numbersOf(release: string): readonly number[] {
  const numbers = release.replace(/-.*$/, '').split('.').map(Number)
  return [...numbers, 0, 0, 0].slice(0, 4)
}
