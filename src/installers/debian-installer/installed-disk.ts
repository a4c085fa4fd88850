/** Whether all that was answered to debian-installer had an effect, by what it has left on the disk. */

/** The database in which the installer keeps every question that was put to it or answered for it. */
export const questionsFile = '/var/log/installer/cdebconf/questions.dat'

/** What the installer files answers under that belong to no question that it knows. */
const unknownTemplate = 'debian-installer/dummy'

/** Questions of other packages than the installer's, which are handed on to the installed system. */
const handedOn = /^tasksel\//

/** What the installer reads where it is answered, and never asks. */
export const neverAsked: ReadonlySet<string> = new Set([
  'base-installer/debootstrap_variant',
  'mirror/udeb/suite',
])

/**
 * Questions that were answered and that nobody has asked: misspelt, or of another release.
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
