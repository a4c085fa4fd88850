/** Where in a user's source a value was defined: faults in it are shown there. */

const calls = new WeakMap<object, Error>()

/** A place in a source file; line and column from 1. */
export interface CallSite {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** To be called by the function that the user calls. Traces are put into words only where there is a fault. */
export function rememberCall(value: object): void {
  calls.set(value, new Error())
}

/** Undefined for a value that was not remembered, as that of another copy of this program. */
export function callSiteOf(value: object): CallSite | undefined {
  const [, , , caller = ''] = calls.get(value)?.stack?.split('\n') ?? []
  const [, file, line, column] = /(?:^|[ (])(?:file:\/\/)?(\/[^()]*):(\d+):(\d+)\)?$/.exec(caller) ?? []
  if (file === undefined) return undefined
  return { file: decodeURI(file), line: Number(line), column: Number(column) }
}
