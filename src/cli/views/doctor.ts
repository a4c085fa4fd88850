/** The checks of a host, for people. */

import type { CheckStatus } from '../../doctor/check.ts'
import type { DoctorReport } from '../../doctor/doctor.ts'
import { type Colors, plural } from '../../report/format.ts'

const marks = {
  ok: ['✔', 'green'],
  warning: ['!', 'yellow'],
  fault: ['✖', 'red'],
} as const satisfies Readonly<Record<CheckStatus, readonly [string, keyof Colors]>>

/** The report as aligned text: one line per check, advice below it. */
export function renderDoctor({ checks, isFit }: DoctorReport, colors: Colors): string {
  const width = Math.max(...checks.map((check) => check.title.length))
  const lines = checks.flatMap(({ title, status, found, advice }) => {
    const [mark, color] = marks[status]
    const indent = ' '.repeat(width + 4)
    const text = found.replaceAll('\n', `\n${indent}`)
    const first = `${colors[color](mark)} ${title.padEnd(width)}  ${text}`
    return advice === undefined ? [first] : [first, `${indent}→ ${advice}`]
  })
  const count = (status: CheckStatus) => checks.filter((check) => check.status === status).length
  const verdict = isFit ? 'fit to build' : 'not fit to build'
  const counts = `${plural(count('fault'), 'fault')}, ${plural(count('warning'), 'warning')}`
  return `${[...lines, '', `${verdict}: ${counts}`].join('\n')}\n`
}
