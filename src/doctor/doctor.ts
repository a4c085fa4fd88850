/** Checks whether this host and its mirrors are fit to build, before anything is built. */

import { messageOf, PipelineError } from '../errors.ts'
import {
  type CheckStatus,
  type DoctorCheck,
  type Finding,
  type HostInput,
  type Look,
  plural,
} from './check.ts'
import { contextOf, hostChecks } from './host-checks.ts'

export interface DoctorReport {
  readonly checks: readonly DoctorCheck[]
  /** Whether a build can start: there is no fault. Warnings cost time, not the build. */
  readonly isFit: boolean
}

/** Runs all checks in parallel. Throws only if `signal` is aborted: a check that fails is a fault in the report. */
export async function diagnose(input: HostInput): Promise<DoctorReport> {
  const context = contextOf('doctor', input)
  const looks = hostChecks.flatMap((check) => check.looks(context))
  const checks = (await Promise.all(looks.map(examine))).flat()
  input.signal?.throwIfAborted()
  return { checks, isFit: checks.every((check) => check.status !== 'fault') }
}

const marks = { ok: ['✔', 32], warning: ['!', 33], fault: ['✖', 31] } as const

/** The report as aligned text: one line per check, advice below it. */
export function renderDoctor(report: DoctorReport, { color }: { readonly color: boolean }): string {
  const width = Math.max(...report.checks.map((check) => check.title.length))
  const paint = (text: string, code: number) => (color ? `\u001b[${code}m${text}\u001b[0m` : text)
  const lines = report.checks.flatMap(({ title, status, found, advice }) => {
    const [mark, code] = marks[status]
    const indent = ' '.repeat(width + 4)
    const text = found.replaceAll('\n', `\n${indent}`)
    const first = `${paint(mark, code)} ${title.padEnd(width)}  ${text}`
    return advice === undefined ? [first] : [first, `${indent}→ ${advice}`]
  })
  const count = (status: CheckStatus) => report.checks.filter((check) => check.status === status).length
  const [faults, warnings] = [count('fault'), count('warning')]
  const verdict = report.isFit ? 'fit to build' : 'not fit to build'
  return `${[...lines, '', `${verdict}: ${plural(faults, 'fault')}, ${plural(warnings, 'warning')}`].join('\n')}\n`
}

// --- internal ---

async function examine({ id, title, run }: Look): Promise<readonly DoctorCheck[]> {
  try {
    const found = await run()
    return 'status' in found ? [toCheck({ id, title, ...found })] : found.map(toCheck)
  } catch (error) {
    const advice = error instanceof PipelineError ? error.hint : 'this check itself failed, which is a bug.'
    return [{ id, title, status: 'fault', found: messageOf(error), advice }]
  }
}

/** Drops what only refused tasks need. */
function toCheck({
  id,
  title,
  status,
  found,
  advice,
}: Finding & Pick<DoctorCheck, 'id' | 'title'>): DoctorCheck {
  return { id, title, status, found, ...(advice === undefined ? {} : { advice }) }
}
