/** Values that fit into a preseed, and the error for those that do not. */

import { exitCodes, PipelineError } from '../../errors.ts'

/** debconf's language has no quoting: a value is the rest of its line, and a backslash at its end continues it. */
export function checkValue(found: unknown): string {
  if (typeof found === 'boolean') return String(found)
  if (typeof found !== 'string') throw unfit(found, 'is not a string')
  if (found === '') throw unfit(found, 'is empty')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(found)) throw unfit(found, 'has a newline or another control character')
  if (found !== found.trim()) throw unfit(found, 'begins or ends with a space')
  if (found.includes('\\')) throw unfit(found, 'has a backslash')
  return found
}

/** @returns the error `preseed-value` */
export function unfit(found: unknown, why: string): PipelineError {
  return new PipelineError({
    code: 'preseed-value',
    message: `${JSON.stringify(found) ?? 'a missing value'} cannot be used in a preseed: it ${why}`,
    hint: 'change the value in pipeline.ts.',
    exitCode: exitCodes.badInput,
    details: { found },
  })
}
