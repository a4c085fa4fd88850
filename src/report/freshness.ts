/** Which packages of an image are older than those in its archives, as the report, `plan` and `release` present it. */

import { z } from 'zod'

export const updateSchema = z.strictObject({
  name: z.string(),
  source: z.string().describe('package that it is built from'),
  installed: z.string().describe('version in the image'),
  available: z.string().describe('newest version in the archives'),
  suite: z.string().describe('archive that has it'),
  security: z.boolean().describe('whether the security archive has a newer version than the image'),
})

const knownFreshness = z.strictObject({
  status: z.enum(['current', 'outdated']),
  checkedAt: z.iso.datetime(),
  archives: z
    .array(z.strictObject({ suite: z.string(), url: z.string(), date: z.iso.datetime() }))
    .describe('that the image was compared with, and when each was published'),
  updates: z
    .array(updateSchema)
    .describe('packages that are newer there; those of the security archive first'),
})

const unknownFreshness = z.strictObject({
  status: z.literal('unknown'),
  checkedAt: z.iso.datetime(),
  reason: z.string().describe('why it is not known, e.g. that the mirror cannot be reached'),
})

export const freshnessSchema = z.discriminatedUnion('status', [knownFreshness, unknownFreshness])

export type Update = Readonly<z.output<typeof updateSchema>>
export type KnownFreshness = Readonly<z.output<typeof knownFreshness>>
export type Freshness = Readonly<z.output<typeof freshnessSchema>>

/** One line for people: `3 packages are older than in Debian, 1 of them a security update: openssl 3.5.1-1 → 3.5.4-1, …`. */
export function describeFreshness(freshness: Freshness): string {
  if (freshness.status === 'unknown') return `not known: ${freshness.reason}`
  const { updates, archives } = freshness
  const newest = archives.map(({ date }) => date.slice(0, 10)).sort()
  const asOf = newest.length === 0 ? '' : ` of ${newest.at(-1)}`
  if (updates.length === 0) return `none; every package is as new as in the archives${asOf}`
  const security = updates.filter((one) => one.security)
  const count = updates.length === 1 ? '1 package is' : `${updates.length} packages are`
  const of =
    security.length === 0 ? 'none of them a security update' : `security updates: ${listOf(security)}`
  return `${count} newer in the archives${asOf}; ${of}`
}

/** `openssl 3.5.1-1 → 3.5.4-1`, up to a limit. */
export function listOf(updates: readonly Update[], most = 8): string {
  const shown = updates
    .slice(0, most)
    .map(({ name, installed, available }) => `${name} ${installed} → ${available}`)
  const more = updates.length - shown.length
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(', ')
}
