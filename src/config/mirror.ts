/** Where packages come from, as a person writes it. */

import { z } from 'zod'
import { debianArchives } from './image.ts'
import { folderUrl } from './urls.ts'

/** A file of this host. */
export const hostFile = z
  .string()
  .regex(/^\/[^\s\p{Cc}]+$/u, 'must be an absolute path without spaces and control characters')

export const mirrorFields = z.strictObject({
  /** Debian's archive. @default http://deb.debian.org/debian */
  debian: folderUrl.default(debianArchives.debian),
  /** The security archive. @default http://deb.debian.org/debian-security */
  security: folderUrl.default(debianArchives.security),
  /** Components of both. */
  components: z
    .array(z.string().regex(/^[a-z-]+$/))
    .min(1)
    .default(['main']),
  /** Keyring that signs both, on the host and in the guest. */
  keyring: hostFile.default(debianArchives.keyring),
  /** Instant of a snapshot archive, when the URLs above name one: switches off expiry checks. */
  snapshot: z
    .string()
    .regex(/^\d{8}T\d{6}Z$/, 'must look like 20261101T000000Z')
    .optional(),
  /** Where debian-installer gets its own packages, if `debian` has none. @default the suite of the variant */
  udebs: z
    .strictObject({
      /** Folder below `dists/` of the same mirror. */
      suite: z
        .string()
        .regex(/^[a-z0-9][a-z0-9.+-]*$/, 'must be the name of a suite')
        .optional(),
      /** Binary keyring on the host that signs it. @default mirror.keyring */
      keyring: hostFile.optional(),
    })
    .optional(),
})
