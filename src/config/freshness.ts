/** How old a released image may be, and which missing updates are accepted for now. */

import { z } from 'zod'

/** What a waiver can accept other than a package; no package name contains a space. */
export const baseAge = 'base age'

/** @param url rule for the URL of an archive @param keyring rule for the path of a keyring */
export const freshnessFields = (url: z.ZodType<string, string>, keyring: z.ZodType<string, string>) =>
  z.strictObject({
    /** Debian's archive to compare with. @default mirror.debian, or Debian's own if mirror.snapshot is set */
    debian: url.optional(),
    /** The security archive to compare with. @default mirror.security, or Debian's own if mirror.snapshot is set */
    security: url.optional(),
    /** Keyring on the host with the keys that sign both. @default mirror.keyring, or Debian's own if mirror.snapshot is set */
    keyring: keyring.optional(),
    /** Maximum age of the packages of layer 0, in days. @default no limit */
    maximumAgeDays: z.int().min(1, 'must be at least 1 day').optional(),
    /** Missing security updates that a release may have, each until a given day. */
    waivers: z
      .array(
        z.strictObject({
          /** Package, source package, or `base age`. */
          accepts: z
            .string()
            .refine(
              (name) => name === baseAge || /^[a-z0-9][a-z0-9.+-]+$/.test(name),
              `must be the name of a package, of a source package, or ${baseAge}`,
            ),
          /** Why that is acceptable for now. */
          reason: z.string().min(10, 'must say why, in ten characters or more'),
          /** The last day, e.g. `2026-12-31`. */
          until: z.iso.date('must be the last day that it applies, like 2026-12-31'),
        }),
      )
      .refine(
        (waivers) => new Set(waivers.map(({ accepts }) => accepts)).size === waivers.length,
        'must name each package once',
      )
      .default([]),
  })

export type FreshnessSettings = Readonly<z.output<ReturnType<typeof freshnessFields>>>
export type FreshnessWaiver = FreshnessSettings['waivers'][number]
