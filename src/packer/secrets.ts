/** Values that stages are given and no log may show, even if a script prints them. */

import type { ResolvedStage } from '../config/resolved.ts'
import { isSecretVariable } from '../redact.ts'
import { writtenComma } from './stream.ts'

/** Shorter texts occur in other words, which logs would then lose. */
const shortest = 4

/** The lines of all secret variables, longest first, so that none is removed only in part. */
export function secretsOf(stages: readonly Pick<ResolvedStage, 'environment'>[]): readonly string[] {
  const values = stages.flatMap(({ environment }) =>
    Object.entries(environment).flatMap(([name, value]) => (isSecretVariable(name, value) ? [value] : [])),
  )
  const lines = values.flatMap((value) => value.split('\n')).map((line) => line.trim())
  return [...new Set(lines.flatMap(quotedForms))]
    .filter(({ length }) => length >= shortest)
    .sort((one, other) => other.length - one.length)
}

/** A text as it is, and as shells quote it when `set -x` shows each command. */
function quotedForms(text: string): readonly string[] {
  return [text, text.replaceAll("'", `'\\''`), text.replaceAll("'", `'"'"'`)]
}

/** Packer variables by name: Packer leaves their values out of its own log. */
export function secretVariables(secrets: readonly string[]): Readonly<Record<string, string>> {
  const texts = secrets.flatMap((text) => [text, text.replaceAll(',', writtenComma)])
  return Object.fromEntries([...new Set(texts)].map((text, index) => [`secret_${index}`, text]))
}
