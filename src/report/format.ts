/** Numbers, tables and colors for people. */

import type picocolors from 'picocolors'

/** Functions that color a text, or leave it as it is. */
export type Colors = ReturnType<typeof picocolors.createColors>

/** `4.2s`, `3m 07s`, `1h 02m`. */
export function formatSeconds(seconds: number): string {
  // 59.96 would be shown as 60.0.
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`
  const whole = Math.round(seconds)
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}h ${two(minutes)}m` : `${minutes}m ${two(rest)}s`
}

/** The time ahead: `about 4m 30s`, or `about 26m 10s if guests are emulated` if nothing was measured yet. */
export function formatOutlook(ahead: {
  readonly estimateSeconds: number
  readonly assumesEmulation: boolean
}): string {
  const time = `about ${formatSeconds(ahead.estimateSeconds)}`
  return ahead.assumesEmulation ? `${time} if guests are emulated` : time
}

/** How long ago, in one unit: `40s`, `12m`, `5h`, `3d`. A date in the future, from a wrong clock, counts as new. */
export function formatAge(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))}s`
  if (seconds < 3600) return `${Math.round(seconds / 60)}m`
  return seconds < 86_400 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`
}

/** `512 B`, `3.4 MiB`, `1.2 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  const limit = () => (unit === 0 ? 1024 : 1023.95)
  for (; value >= limit() && unit < units.length - 1; unit += 1) value /= 1024
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** A number with its noun: `1 layer`, `3 layers`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** Rows in aligned columns, two spaces apart. */
export function formatTable(
  rows: readonly (readonly string[])[],
  alignRight: readonly boolean[] = [],
): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((most, row) => Math.max(most, (row[column] ?? '').length), 0),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0
          return alignRight[column] ? cell.padStart(width) : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
