/** Verifications for people: a line per group, and what was observed in each failure. */

import type { Colors } from '../../report/format.ts'
import { formatSeconds } from '../../report/format.ts'
import type { CheckResult, ImageVerification, SceneResult } from '../../report/verification.ts'

/** One image: its verdict, its groups, its failures, its figures. */
export function renderVerification(verification: ImageVerification, colors: Colors): string {
  const { path, status, cached, seconds, checks, scenes, contract } = verification
  const mark = status === 'passed' ? colors.green('✔') : colors.red('✖')
  const time = cached ? 'verified before' : formatSeconds(seconds)
  const groups = [...new Set(checks.map(({ group }) => group))].map((group) =>
    renderGroup(
      group,
      checks.filter((check) => check.group === group),
      colors,
    ),
  )
  const figures = scenes.flatMap((scene) => renderFigures(scene, colors))
  const read = verification.contentOf
  const note =
    read === undefined ? [] : [colors.dim(`  the content was read in ${read}, whose disk is the same`)]
  const profile = contract === undefined || contract === 'none' ? '' : `  by ${contract}`
  return `${[`${mark} ${path}  ${countOf(checks)}${profile}  ${time}`, ...groups.flat(), ...note, ...figures].join('\n')}\n`
}

function renderGroup(group: string, checks: readonly CheckResult[], colors: Colors): string[] {
  const shown = checks.filter(({ status }) => status === 'failed' || status === 'waived')
  const lines = shown.flatMap(({ id, title, at, status, observed, reason }) => {
    const mark = status === 'failed' ? colors.red('✖') : colors.yellow('!')
    const where = at === 'file' || at === 'content' ? '' : ` (${at})`
    return [
      `    ${mark} ${id} ${title}${where}`,
      // A line that a guest printed must not start a line of ours.
      `      observed: ${observed.replaceAll('\n', '\n      │ ')}`,
      ...(reason === undefined ? [] : [`      waived: ${reason}`]),
    ]
  })
  return [`  ${group.padEnd(10)} ${countOf(checks)}`, ...lines]
}

function countOf(checks: readonly CheckResult[]): string {
  const words = (['passed', 'failed', 'waived', 'skipped'] as const).flatMap((status) => {
    const count = checks.filter((check) => check.status === status).length
    return count === 0 ? [] : [`${count} ${status}`]
  })
  return words.join(', ') || 'no checks'
}

function renderFigures(scene: SceneResult, colors: Colors): string[] {
  const { name, model, seconds, loginSeconds, agentSeconds, readySeconds, startup, trouble, lastLines } =
    scene
  const times = [
    ['login', loginSeconds],
    ['agent', agentSeconds],
    ['ready', readySeconds],
  ] as const
  const known = times.flatMap(([what, value]) =>
    value === undefined ? [] : [`${what} ${formatSeconds(value)}`],
  )
  // Its base boot failed, or QEMU did not start.
  const hasStarted = trouble === undefined || seconds >= 1
  const time = hasStarted ? formatSeconds(seconds) : 'no boot'
  const figures = known.length === 0 ? '' : `: ${known.join(', ')}`
  const picture = scene.screenshot === undefined ? [] : [`      the screen: ${scene.screenshot}`]
  return [
    colors.dim(`  ${name.padEnd(16)} ${time.padStart(7)} on ${model}${figures}`),
    ...(startup === undefined ? [] : [colors.dim(`      ${startup}`)]),
    ...(trouble === undefined ? [] : [`      ${trouble}`]),
    ...(lastLines ?? []).map((line) => colors.dim(`      │ ${line}`)),
    ...picture,
  ]
}
