/** What was checked on each image file, scene by scene, and what was observed. */

import { formatSeconds } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import type { CheckResult, ImageVerification, SceneResult } from '../report/verification.ts'
import type { Pictures } from './pictures.ts'
import { count, join } from './texts.ts'

export interface ChecksView {
  readonly images: readonly ImageView[]
  /** Failures of all images, each with the anchor of its row. */
  readonly failures: readonly { readonly id: string; readonly anchor: string; readonly title: string }[]
  readonly counts: readonly { readonly status: string; readonly number: number }[]
  readonly unusedWaivers: string | undefined
}

interface ImageView {
  readonly target: string
  readonly path: string
  readonly status: string
  readonly hasFailed: boolean
  readonly summary: string
  readonly groups: readonly GroupView[]
}

interface GroupView {
  readonly name: string
  readonly summary: string
  readonly facts: string
  readonly trouble: string | undefined
  readonly rows: readonly CheckRow[]
  readonly slowest: readonly { readonly unit: string; readonly time: string }[]
  readonly startup: string | undefined
  readonly console: string | undefined
  readonly consoleLines: string
  readonly isOpen: boolean
  readonly picture:
    | { readonly url: string | undefined; readonly path: string; readonly alt: string }
    | undefined
}

interface CheckRow {
  readonly anchor: string
  readonly id: string
  readonly title: string
  readonly status: string
  readonly observed: string
  readonly reason: string | undefined
  readonly time: string
}

const statuses = ['failed', 'waived', 'skipped', 'passed'] as const

/** Undefined if nothing was verified. */
export function viewChecks(report: Report, pictures: Pictures): ChecksView | undefined {
  const { verifications = [], unusedWaivers = [] } = report
  if (verifications.length === 0) return undefined
  const checks = verifications.flatMap((image, index) =>
    image.checks.map((check, number) => ({ ...check, anchor: anchorOf(index, number) })),
  )
  return {
    images: verifications.map((image, index) => viewImage(image, index, pictures)),
    failures: checks
      .filter(({ status }) => status === 'failed')
      .map(({ id, anchor, title }) => ({ id, anchor, title })),
    counts: countsOf(checks),
    unusedWaivers: unusedWaivers.length === 0 ? undefined : join(unusedWaivers),
  }
}

/** `62 passed, 8 failed`; leaves out statuses that no check has. */
export function describeCounts(checks: readonly Pick<CheckResult, 'status'>[]): string {
  const parts = countsOf(checks).map(({ status, number }) => `${number} ${status}`)
  return parts.reverse().join(', ') || 'no checks'
}

// --- internal ---

function countsOf(checks: readonly Pick<CheckResult, 'status'>[]): ChecksView['counts'] {
  return statuses
    .map((status) => ({ status, number: checks.filter((check) => check.status === status).length }))
    .filter(({ number }) => number > 0)
}

const anchorOf = (image: number, check: number) => `check-${image + 1}-${check + 1}`

function viewImage(image: ImageVerification, index: number, pictures: Pictures): ImageView {
  const { path, target, status, checks, scenes, seconds, accelerator, cached, contentOf, contract } = image
  const checksAt = new Map<string, AnchoredCheck[]>()
  for (const [number, check] of checks.entries()) {
    const here = checksAt.get(check.at) ?? []
    here.push({ ...check, anchor: anchorOf(index, number) })
    checksAt.set(check.at, here)
  }
  const sceneOf = new Map<string, SceneResult>()
  for (const scene of scenes) if (!sceneOf.has(scene.name)) sceneOf.set(scene.name, scene)
  const places = [...new Set([...checksAt.keys(), ...sceneOf.keys()])]
  const facts = [
    `${describeCounts(checks)} in ${formatSeconds(seconds)}`,
    scenes.length === 0 ? 'not booted' : `${count(scenes.length, 'boot')} (${accelerator})`,
    ...(contract === undefined || contract === 'none' ? [] : [`contract ${contract}`]),
    ...(cached ? ['an earlier verdict on the same bytes by the same checks'] : []),
    ...(contentOf === undefined
      ? []
      : [`its disk is the same as that of ${contentOf}, where the content was read`]),
  ]
  return {
    target: target ?? 'unknown target',
    path,
    status,
    hasFailed: status === 'failed',
    summary: `${facts.join('; ')}.`,
    groups: places.map((at) => viewGroup(at, checksAt.get(at) ?? [], sceneOf.get(at), pictures)),
  }
}

type AnchoredCheck = CheckResult & { readonly anchor: string }

const withoutScene: ReadonlyMap<string, string> = new Map([
  ['file', 'the image file itself'],
  ['content', 'the files on its disk, read without booting'],
])

function viewGroup(
  at: string,
  here: readonly AnchoredCheck[],
  scene: SceneResult | undefined,
  pictures: Pictures,
): GroupView {
  const lines = scene?.lastLines ?? []
  const { screenshot } = scene ?? {}
  return {
    name: at,
    summary: scene?.summary ?? withoutScene.get(at) ?? '',
    facts: scene === undefined ? '' : describeBoot(scene),
    trouble: scene?.trouble,
    rows: here.map(({ anchor, id, title, status, observed, reason, seconds }) => ({
      anchor,
      id,
      title,
      status,
      observed,
      reason,
      time: seconds < 0.05 ? '' : formatSeconds(seconds),
    })),
    slowest: scene?.slowest ?? [],
    startup: scene?.startup,
    console: lines.length === 0 ? undefined : lines.join('\n'),
    consoleLines: count(lines.length, 'line'),
    isOpen: scene?.trouble !== undefined || here.some(({ status }) => status === 'failed'),
    picture:
      screenshot === undefined
        ? undefined
        : { url: pictures.get(screenshot), path: screenshot, alt: `Screen of the scene ${at} when it ended` },
  }
}

function describeBoot({ model, seconds, loginSeconds, agentSeconds, readySeconds }: SceneResult): string {
  const after = [
    [agentSeconds, 'guest agent'],
    [loginSeconds, 'login'],
    [readySeconds, 'ready'],
  ] as const
  const parts = after.flatMap(([time, what]) =>
    time === undefined ? [] : [`${what} after ${formatSeconds(time)}`],
  )
  return [`${model}, ${formatSeconds(seconds)} in all`, ...parts].join('; ')
}
