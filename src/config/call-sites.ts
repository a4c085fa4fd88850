/** Where in a user's source a value was defined, so that its faults can be shown there. */

const calls = new WeakMap<object, Error>()

/** A place in a source file; line and column from 1. */
export interface CallSite {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** Must be called directly by the function that the user calls. The trace is formatted only if there is a fault. */
export function rememberCall(value: object): void {
  calls.set(value, new Error())
}

/** Undefined for a value that was not remembered, such as one from another copy of this program. */
export function callSiteOf(value: object): CallSite | undefined {
  const [, , , caller = ''] = calls.get(value)?.stack?.split('\n') ?? []
  const [, file, line, column] = /(?:^|[ (])(?:file:\/\/)?(\/[^()]*):(\d+):(\d+)\)?$/.exec(caller) ?? []
  if (file === undefined) return undefined
  return { file: decodeURI(file), line: Number(line), column: Number(column) }
}
