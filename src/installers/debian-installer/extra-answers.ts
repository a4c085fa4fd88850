/** Checks a site's own answers against the questions that debian-installer knows: it silently ignores all others. */

import { readFileSync } from 'node:fs'
import type { ExtraAnswer } from '../../config/debian-installer.ts'
import { configurationError, type Fault, formatFound, formatPath } from '../../config/faults.ts'
import { type Overrides, originOf } from '../../config/overrides.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { answeredQuestions, type InstallerHost, preseedView, renderPreseed } from './preseed.ts'

/**
 * The questions of Debian 13's installer: of the udebs in its netboot image, and of those that it downloads. Includes
 * questions of Debian 12's installer, as far as its udebs were available.
 */
const questionsFile = new URL('./installer-questions.txt', import.meta.url)

/** A preseed served to a guest contains different mirror questions if the mirror uses https. */
const anyHost: InstallerHost = { address: '10.0.2.2', httpPort: 0, syslogPort: 0, proxyPort: 0 }

/** Numbered families of questions; the installer's own lists name only the first one, or none. */
const numbered = /^apt-setup\/local\d+\/(repository|comment|source|key)$/

let known: ReadonlySet<string> | undefined

function knownQuestions(): ReadonlySet<string> {
  known ??= new Set(readFileSync(questionsFile, 'utf8').trim().split('\n'))
  return known
}

/**
 * Refuses answers that would have no effect, and answers that would override one of the pipeline's own.
 * @throws PipelineError `configuration` with every fault found
 */
export function requireKnownAnswers(
  images: readonly ResolvedImage[],
  overrides: readonly Overrides[] = [],
): void {
  const [image] = images
  if (image === undefined || image.debianInstaller.extraAnswers.length === 0) return
  const own = new Set(
    [undefined, anyHost].flatMap((host) => [
      ...answeredQuestions(renderPreseed(preseedView(image, ['debconf'], [], host))),
    ]),
  )
  const { extraAnswers } = image.debianInstaller
  const faults = extraAnswers.flatMap(({ owner, question }, index): readonly Fault[] => {
    const path = ['debianInstaller', 'extraAnswers', index, 'question']
    const rule = faultOf(owner, question, own) ?? faultOfTwice(extraAnswers, index)
    if (rule === undefined) return []
    return [{ path: formatPath(path), rule, found: formatFound(question), ...originOf(overrides, path) }]
  })
  if (faults.length > 0) throw configurationError(faults)
}

/** Hosts of the archives in a site's answers, as `name` or `name:port`. */
export function namedHosts(answers: readonly ExtraAnswer[]): readonly string[] {
  const urls = answers.flatMap((answer) =>
    'value' in answer ? (`${answer.value}`.match(/\bhttp:\/\/[^\s,]+/g) ?? []) : [],
  )
  return [...new Set(urls.filter((url) => URL.canParse(url)).map((url) => new URL(url).host))]
}

function faultOf(owner: string, question: string, own: ReadonlySet<string>): string | undefined {
  if (own.has(question)) return 'is already answered by the rest of the pipeline'
  // The questions of other packages are not known here.
  if (owner !== 'd-i' || knownQuestions().has(question) || numbered.test(question)) return undefined
  const near = nearest(question, knownQuestions())
  return `is not a question of debian-installer${near === undefined ? '' : `; there is ${near}`}`
}

function faultOfTwice(answers: readonly { readonly question: string }[], index: number): string | undefined {
  const first = answers.findIndex(({ question }) => question === answers[index]?.question)
  return first === index ? undefined : 'is answered twice'
}

/** The largest edit distance that counts as a misspelling. */
const mostOff = 3

function nearest(word: string, candidates: ReadonlySet<string>): string | undefined {
  let found: string | undefined
  let least = mostOff + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= least) continue
    const distance = editDistance(word, candidate)
    if (distance < least) [found, least] = [candidate, distance]
  }
  return found
}

/** Levenshtein distance. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= other.length; j += 1) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same))
    }
    row = next
  }
  return row[other.length] ?? 0
}
