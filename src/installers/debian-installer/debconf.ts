/** The installer's exchange with debconf, as recorded in its syslog: which question waits for an answer, and since when. */

export interface DebconfExchange {
  /** Takes one line: `--> command`, and its reply `<-- …` before the next. */
  readonly take: (line: string) => void
  /** The question that is being asked; undefined while none is. */
  readonly asked: () => { readonly question: string; readonly sinceMs: number } | undefined
  /** Excludes a period in which no answer could have arrived. */
  readonly postpone: (ms: number) => void
}

/** @param nowMs milliseconds of a monotonic clock */
export function followDebconf(nowMs: () => number): DebconfExchange {
  /** The last question that was put, to be asked next. */
  let question: string | undefined
  /** The last command, until its reply arrives. */
  let lastCommand = ''
  let askedMs: number | undefined
  return {
    take: (line) => {
      const [, command, words = ''] = /^--> (\S+) ?(.*)$/.exec(line) ?? []
      const isReply = line.startsWith('<-- ')
      if (command === undefined && !isReply) return
      if (lastCommand.startsWith('INPUT ') && line.startsWith('<-- 0')) question = lastCommand.split(' ')[2]
      // The reply may get lost, but the next message implies it.
      if (lastCommand === 'GO') question = undefined
      askedMs = command === 'GO' && question !== undefined ? nowMs() : undefined
      lastCommand = isReply ? '' : `${command} ${words}`.trim()
    },
    asked: () =>
      askedMs === undefined || question === undefined ? undefined : { question, sinceMs: askedMs },
    postpone: (ms) => {
      if (askedMs !== undefined) askedMs += ms
    },
  }
}
