/** What a check of the host says. */

export type CheckStatus = 'ok' | 'warning' | 'fault'

/** One thing that was looked at. */
export interface DoctorCheck {
  /** Stable, for machines: `disk-space`, `mirror:trixie`, … */
  readonly id: string
  /** A word or two for people. */
  readonly title: string
  readonly status: CheckStatus
  /** What is there, in one line. */
  readonly found: string
  /** What to do about it; absent where nothing has to be done. */
  readonly advice?: string | undefined
}

/** What a check that is one thing alone has found. */
export type Finding = Omit<DoctorCheck, 'id' | 'title'>

export const ok = (found: string): Finding => ({ status: 'ok', found })
export const warning = (found: string, advice: string): Finding => ({ status: 'warning', found, advice })
export const fault = (found: string, advice: string): Finding => ({ status: 'fault', found, advice })

/** A number with its noun. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
