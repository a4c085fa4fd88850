/** Compares Debian versions as `deb-version(7)` defines. */

/** Negative if `one` is older than `other`, 0 if they are equal for dpkg, positive if it is newer. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [splitVersion(one), splitVersion(other)]
  return a.epoch - b.epoch || compareParts(a.upstream, b.upstream) || compareParts(a.revision, b.revision)
}

// --- internal ---

/** `epoch:upstream-revision`; a missing epoch or revision counts as 0. */
function splitVersion(version: string) {
  const colon = version.indexOf(':')
  const rest = version.slice(colon + 1)
  const hyphen = rest.lastIndexOf('-')
  return {
    epoch: colon === -1 ? 0 : Number(version.slice(0, colon)),
    upstream: hyphen === -1 ? rest : rest.slice(0, hyphen),
    revision: hyphen === -1 ? '' : rest.slice(hyphen + 1),
  }
}

/** Compares runs of non-digits and runs of digits alternately. */
function compareParts(one: string, other: string): number {
  const [a, b] = [runsOf(one), runsOf(other)]
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [left, right] = [a[index], b[index]]
    const difference =
      compareText(left?.text ?? '', right?.text ?? '') || compareNumber(left?.digits, right?.digits)
    if (difference !== 0) return difference
  }
  return 0
}

function runsOf(part: string): readonly { readonly text: string; readonly digits: string }[] {
  return [...part.matchAll(/(\D*)(\d*)/g)].map(([, text = '', digits = '']) => ({ text, digits }))
}

/** A tilde sorts before the end, the end before letters, and letters before everything else. */
function compareText(one: string, other: string): number {
  for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
    const difference = rankOf(one[index]) - rankOf(other[index])
    if (difference !== 0) return difference
  }
  return 0
}

function rankOf(character: string | undefined): number {
  if (character === '~') return -1
  if (character === undefined) return 0
  return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256
}

/** Not as numbers: a version can have more digits than a number holds, e.g. a date with a time and a hash. */
function compareNumber(one = '', other = ''): number {
  const [a, b] = [one.replace(/^0+/, ''), other.replace(/^0+/, '')]
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}
