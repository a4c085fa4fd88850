/** What only debian-installer is told: a site's own answers, and the medium of those who have no netboot files. */

import { z } from 'zod'

/** One line of debconf's language: the rest of it, so nothing in it may end the line or continue it. */
const line = z
  .string()
  .regex(/^[^\p{Cc}\\]*$/u, 'must have no newline, backslash or other control character')
  .refine((text) => text === text.trim(), 'must not begin or end with a space')

const question = z.strictObject({
  /** As in `clock-setup/ntp-server`. */
  question: z
    .string()
    .regex(
      /^[A-Za-z0-9][\w.+-]*(\/[\w.+@-]+)+$/,
      'must be the name of a question, like clock-setup/ntp-server',
    ),
  /** Who asks it: `d-i`, or the package in the installed system whose question it is. */
  owner: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.+-]*$/, 'must be d-i or the name of a package')
    .default('d-i'),
})

/** An answer to a question of debconf, in the form that its type has. Passwords are none: they would be in every log. */
const answer = z.discriminatedUnion('type', [
  question.extend({ type: z.enum(['string', 'select', 'text']), value: line }),
  question.extend({ type: z.literal('boolean'), value: z.boolean() }),
  question.extend({ type: z.literal('multiselect'), value: z.array(line) }),
  question.extend({ type: z.literal('note') }),
])

export const debianInstallerFields = z.strictObject({
  /** Answers beside those that follow from this pipeline, for questions that it does not answer itself. */
  extraAnswers: z.array(answer).default([]),
  /** A Debian netinst medium to boot instead of netboot files. It brings its own udebs: any mirror will do. */
  iso: z
    .strictObject({
      /** On Debian's servers; a release that has moved to the archive is looked for there. */
      url: z.string().regex(/^https?:\/\/[^\s"']+\.iso$/, 'must be an http(s) URL that ends in .iso'),
      /** Of the whole file, in hex. */
      sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower case'),
    })
    .optional(),
})

/** One answer of a site. */
export type ExtraAnswer = z.output<typeof answer>
