/** The file of accepted vulnerabilities: each with the reason, and the last day on which it applies. */

import { z } from 'zod'
import { parseYaml, YamlError } from '../config/yaml.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { readRegularText } from '../host/regular-file.ts'

const common = {
  vulnerability: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9-]{1,60}$/, 'must be the name of a vulnerability, like CVE-2026-1234'),
  packages: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/, 'must be the name of a package'))
    .min(1)
    .max(1000)
    .optional(),
  reason: z.string().min(10, 'must say why, in ten characters or more').max(2000),
  until: z.iso.date('must be the last day that it applies, like 2026-12-31'),
}

const accepted = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('not_affected'),
    justification: z.enum([
      'component_not_present',
      'vulnerable_code_not_present',
      'vulnerable_code_not_in_execute_path',
      'vulnerable_code_cannot_be_controlled_by_adversary',
      'inline_mitigations_already_exist',
    ]),
    ...common,
  }),
  z.strictObject({ status: z.literal('affected'), ...common }),
])

export type Accepted = Readonly<z.output<typeof accepted>>

/** @throws PipelineError `accepted-unreadable` */
export async function readAccepted(path: string): Promise<readonly Accepted[]> {
  try {
    const text = await readRegularText(path, mostCharacters)
    return z.array(accepted).max(10_000).parse(parseYaml(text, mostCharacters).toJS())
  } catch (cause) {
    const at = cause instanceof YamlError ? ` at line ${cause.place.line}, column ${cause.place.column}` : ''
    throw new PipelineError({
      code: 'accepted-unreadable',
      message: `the file of accepted vulnerabilities ${path} cannot be read: ${describeFault(cause)}${at}`,
      hint: 'docs/release.md has an example of one.',
      exitCode: exitCodes.badInput,
      cause,
    })
  }
}

// --- internal ---

const mostCharacters = 1024 ** 2

function describeFault(cause: unknown): string {
  if (!(cause instanceof z.ZodError)) return (cause as Error).message.split('\n')[0] ?? ''
  const [issue] = cause.issues
  return `${issue?.path.join('.') || 'all of it'}: ${issue?.message ?? 'it has another format'}`
}
