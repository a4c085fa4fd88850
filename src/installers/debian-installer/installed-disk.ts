/** Whether every answer to debian-installer had an effect, judging by the installed disk. */

/** The database in which the installer keeps every question that was asked or answered. */
export const questionsFile = '/var/log/installer/cdebconf/questions.dat'

/** Where the installer files answers to questions that it does not know. */
const unknownTemplate = 'debian-installer/dummy'

/** Questions of packages outside the installer, passed on to the installed system. */
const handedOn = /^tasksel\//

/** Answers that the installer reads without ever asking. */
export const neverAsked: ReadonlySet<string> = new Set([
  'base-installer/debootstrap_variant',
  'mirror/udeb/suite',
])

/**
 * Questions that were answered but never asked: misspelled, or from another release.
 * @param text the installer's `questions.dat`
 * @param expected questions of packages, which the installer itself does not know
 */
export function unknownAnswers(text: string, expected: ReadonlySet<string> = new Set()): readonly string[] {
  return text.split(/\n{2,}/).flatMap((stanza) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1]
    const name = field('Name')
    if (name === undefined || name === unknownTemplate || field('Template') !== unknownTemplate) return []
    return handedOn.test(name) || neverAsked.has(name) || expected.has(name) ? [] : [name]
  })
}
