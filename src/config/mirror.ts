/** Where packages come from, as a person writes it. */

import { z } from 'zod'
import { debianArchives, type Mirror } from './image.ts'
import { folderUrl } from './urls.ts'

/** An absolute path on this host. */
export const hostFile = z
  .string()
  .regex(/^\/[^\s\p{Cc}]+$/u, 'must be an absolute path without spaces and control characters')

/** An instant, as snapshot archives write it in their URLs. */
const instant = /^\d{8}T\d{6}Z$/

/** The placeholder for the instant in the URLs of a snapshot archive. */
const placeholder = '{snapshot}'

/** The value of `mirror.snapshot` for the instant in the lock. */
const latest = 'latest'

const mirrorShape = z.strictObject({
  /** Debian's archive. @default http://deb.debian.org/debian */
  debian: folderUrl.default(debianArchives.debian),
  /** The security archive. @default http://deb.debian.org/debian-security */
  security: folderUrl.default(debianArchives.security),
  /** Components of both. */
  components: z
    .array(z.string().regex(/^[a-z-]+$/, 'must be the name of a component, like main'))
    .min(1, 'must name at least one component')
    .default(['main']),
  /** Keyring with the keys that sign both, on the host and in the guest. */
  keyring: hostFile.default(debianArchives.keyring),
  /**
   * Instant of a snapshot archive, when the URLs above name one: switches off expiry checks. It takes the place of
   * `{snapshot}` in them. With `latest`, `lock update --bump` chooses it, and the lock keeps it.
   */
  snapshot: z
    .string()
    .refine(
      (text) => text === latest || instant.test(text),
      `must look like 20261101T000000Z, or be ${latest}`,
    )
    .optional(),
  /** Where debian-installer gets its own packages, if `debian` has none. @default the suite of the variant */
  udebs: z
    .strictObject({
      /** Folder below `dists/` of the same mirror. */
      suite: z
        .string()
        .regex(/^[a-z0-9][a-z0-9.+-]*$/, 'must be the name of a suite')
        .optional(),
      /** Binary keyring on the host with the key that signs it. @default mirror.keyring */
      keyring: hostFile.optional(),
    })
    .optional(),
})

export const mirrorFields = mirrorShape.check(({ value, issues }) => {
  const { snapshot } = value
  for (const name of ['debian', 'security'] as const) {
    const hasPlace = value[name].includes(placeholder)
    if (hasPlace === (snapshot === latest) || (hasPlace && snapshot !== undefined)) continue
    const message = hasPlace
      ? `has ${placeholder}, but mirror.snapshot is not set: it says which instant that is`
      : `must have ${placeholder} where the instant belongs if mirror.snapshot is ${latest}`
    issues.push({ code: 'custom', message, path: [name], input: value[name], continue: true })
  }
})

/** Whether the instant of a mirror must come from the lock. */
export function isUnresolved({ snapshot }: Pick<Mirror, 'snapshot'>): boolean {
  return snapshot === latest
}

export function isInstant(text: string): boolean {
  return instant.test(text)
}

/** A mirror at one instant, which replaces `{snapshot}`. @param chosen the instant for `latest`, if known */
export function mirrorAt(mirror: Mirror, chosen: string | undefined): Mirror {
  const { debian, security } = mirror
  const snapshot = isUnresolved(mirror) ? (chosen ?? latest) : mirror.snapshot
  if (snapshot === undefined || snapshot === latest) return mirror
  const at = (url: string) => url.replaceAll(placeholder, snapshot)
  return { ...mirror, debian: at(debian), security: at(security), snapshot }
}
