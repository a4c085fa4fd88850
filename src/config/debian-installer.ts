/** Settings for debian-installer only: a site's own answers, and a medium for hosts without netboot files. */

import { z } from 'zod'
import { redact } from '../redact.ts'
import { faultOfPlainUrl } from './urls.ts'

/** The rest of a line in debconf's language, so it must not end or continue the line. */
const line = z
  .string()
  .regex(/^[^\p{Cc}\\]*$/u, 'must have no newline, backslash or other control character')
  .refine((text) => text === text.trim(), 'must not begin or end with a space')
  .refine(
    (text) => text === redact(text),
    'must have no URL with credentials: answers are in logs and records',
  )

const question = z.strictObject({
  /** Name of the question, such as `clock-setup/ntp-server`. */
  question: z
    .string()
    .regex(
      /^[A-Za-z0-9][\w.+-]*(\/[\w.+@-]+)+$/,
      'must be the name of a question, like clock-setup/ntp-server',
    ),
  /** Owner of the question: `d-i`, or the package in the installed system. */
  owner: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.+-]*$/, 'must be d-i or the name of a package')
    .default('d-i'),
})

const answerType = 'Type of the question, as debconf knows it.'
const answerValue = 'The answer.'

/** An answer to a debconf question, written according to its type. Passwords are excluded: they would be in every log. */
const answer = z.discriminatedUnion('type', [
  question.extend({
    type: z.enum(['string', 'select', 'text']).describe(answerType),
    value: line.describe(answerValue),
  }),
  question.extend({
    type: z.literal('boolean').describe(answerType),
    value: z.boolean().describe(answerValue),
  }),
  question.extend({
    type: z.literal('multiselect').describe(answerType),
    value: z.array(line).describe(answerValue),
  }),
  question.extend({ type: z.literal('note').describe(answerType) }),
])

const discUrl = z.string().check(({ value, issues }) => {
  const fault = value.endsWith('.iso') ? faultOfPlainUrl(value) : 'must be an http(s) URL that ends in .iso'
  if (fault !== undefined) issues.push({ code: 'custom', message: fault, input: value, continue: true })
})

export const debianInstallerFields = z.strictObject({
  /** Answers to questions that this pipeline does not answer itself. */
  extraAnswers: z.array(answer).default([]),
  /** A Debian netinst medium to boot instead of netboot files. It has its own udebs, so any mirror works. */
  iso: z
    .strictObject({
      /** URL on Debian's servers; a release that has moved to the archive is found there. */
      url: discUrl,
      /** SHA-256 of the whole file, in hex. */
      sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256 in lower case'),
    })
    .optional(),
})

/** One answer of a site. */
export type ExtraAnswer = z.output<typeof answer>
