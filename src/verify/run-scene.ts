/** Sets up a scene and runs its checks. Every outcome is a result; only an interruption is thrown. */

import { type AssertionId, contract } from '../config/contract.ts'
import type { Check, Finding, SceneCheck } from '../contract/check.ts'
import { sceneChecksOf } from '../contract/registry.ts'
import {
  type BaseBoot,
  modelOf,
  type Scene,
  type SceneRecord,
  type SceneSpec,
  sceneSpecs,
} from '../contract/scenes.ts'
import { messageOf, shownLines } from '../errors.ts'
import { makeBootArguments, traps } from '../guest/boot-arguments.ts'
import type { Guest } from '../guest/guest.ts'
import { findFreePort } from '../host/ports.ts'
import { cleanText } from '../qemu/console.ts'
import { runSsh } from '../qemu/ssh.ts'
import type { CheckResult, SceneResult } from '../report/verification.ts'
import { bootFor, limitOf, linesOf, type SceneRequest, sceneFolder, troubleOf } from './boot-scene.ts'
import { analyseStartup, enterScene } from './enter-scene.ts'
import type { OwnCheck } from './own-checks.ts'

export interface SceneOutcome {
  readonly record: SceneRecord
  /** Share of the guest's time in which a busy host had no processor for it, from 0 to 0.9. */
  readonly waitingShare: number
  readonly scene: SceneResult
  readonly checks: readonly CheckResult[]
  /** Path of a screenshot. */
  readonly screenshot: string | undefined
}

/** @throws only if interrupted: everything else is a result */
export async function runScene(request: SceneRequest): Promise<SceneOutcome> {
  const { name, key, baseBoot, signal } = request
  const spec: SceneSpec = sceneSpecs[name]
  const started = performance.now()
  const model = modelOf(name, request.target, request.expected.formats)
  // G8 checks values that contain commands, but not with CloudStack's own scripts.
  const words = { ...(request.contract === 'cloudstack-payload' ? {} : traps), ...spec.words }
  const bootArguments =
    spec.role === undefined ? undefined : makeBootArguments(spec.role, key.publicKey, words)
  const record: SceneRecord = { ...baseBoot?.record }
  const asked = sceneChecksOf(name, request.contract)
  const checks: CheckResult[] = []
  let guest: Guest | undefined
  const report = (check: Check, finding: Finding, seconds = 0): void => {
    const result = resultOf(check, name, finding, seconds)
    checks.push(result)
    request.onCheck(result)
  }
  const outcome = (evidence: Evidence, more: Partial<SceneResult> = {}): SceneOutcome => ({
    record,
    waitingShare: guest?.waitingShare() ?? 0,
    scene: {
      name,
      summary: spec.summary,
      model,
      seconds: roundSeconds((performance.now() - started) / 1000),
      ...rounded(record),
      ...more,
      ...(evidence.lastLines.length === 0 ? {} : { lastLines: [...evidence.lastLines] }),
    },
    checks,
    screenshot: evidence.screenshot,
  })
  if (baseBoot !== undefined && baseBoot.saved === undefined) {
    const isReporter = baseBoot.bootedFor === name
    for (const check of asked)
      report(check, isReporter ? withoutGuest(check, asked, record) : notReached(baseBoot))
    return outcome(isReporter ? baseBoot : { lastLines: [], screenshot: undefined })
  }
  const sshPort = await findFreePort()
  try {
    guest = await bootFor(request, sceneFolder(request), bootArguments, sshPort)
  } catch (error) {
    signal.throwIfAborted()
    record.trouble = troubleOf(error)
    for (const check of asked) report(check, withoutGuest(check, asked, record))
    return outcome({ lastLines: linesOf(error), screenshot: undefined })
  }
  try {
    const scene: Scene = {
      name,
      guest,
      model,
      acceleration: request.acceleration,
      expected: request.expected,
      contract: request.contract,
      bootArguments,
      record,
      grownToBytes: spec.isBranch === true ? request.grownToBytes : undefined,
      limit: limitOf(request),
      ssh: (command, { withKey }) =>
        runSsh(command, {
          port: sshPort,
          key: withKey ? key.file : undefined,
          limitSeconds: limitOf(request)(20),
          signal,
        }),
    }
    await enterScene(scene, spec, request).catch((error: unknown) => {
      signal.throwIfAborted()
      record.trouble = troubleOf(error)
    })
    const analysis = await analyseStartup(scene)
    let evidence: Evidence | undefined
    for (const check of asked) {
      // A guest that is off has no screen, and its console is full of shutdown messages.
      if (check.endsGuest === true) evidence = await lookAt(scene, checks)
      const since = performance.now()
      const finding = await askScene(check, scene, asked, signal)
      report(check, finding, (performance.now() - since) / 1000)
    }
    return outcome(evidence ?? (await lookAt(scene, checks)), analysis)
  } finally {
    await guest.close()
  }
}

/** Runs a check if the guest has what it needs. */
async function askScene(
  check: SceneCheck,
  scene: Scene,
  asked: readonly SceneCheck[],
  signal: AbortSignal,
): Promise<Finding> {
  const foregone = findTrouble(check, asked, scene.record)
  if (foregone !== undefined) return foregone
  return check.run(scene).catch((error: unknown): Finding => {
    signal.throwIfAborted()
    return { status: 'failed', observed: messageOf(error) }
  })
}

/**
 * The finding of a check without running it, in a scene in trouble: the trouble, or where it is reported. Undefined if the
 * check is to run: a guest that is up can answer for whatever does not depend on its arguments, and C4 says more about why
 * the guest is not ready.
 */
export function findTrouble(
  check: SceneCheck,
  asked: readonly SceneCheck[],
  record: SceneRecord,
): Finding | undefined {
  const { trouble, wasTaken } = record
  const { id, needs = 'agent' } = check
  if (needs === 'nothing' || trouble === undefined) return undefined
  const isUp = trouble.id === 'C3' || trouble.id === 'C4'
  const isReporter = id === reporterOf(trouble, asked)
  const runs = isReporter ? trouble.id === 'C4' && id === 'C4' : needs !== 'taken' || wasTaken === true
  return isUp && runs ? undefined : withoutGuest(check, asked, record)
}

/** The finding of a check in a scene that is in trouble: one check fails, and the others point to it. */
function withoutGuest(
  check: SceneCheck,
  asked: readonly SceneCheck[],
  { trouble = { id: 'B1', text: 'the guest did not boot' }, loginSeconds }: SceneRecord,
): Finding {
  const reporter = reporterOf(trouble, asked)
  if (check.id === reporter) return { status: 'failed', observed: trouble.text }
  if (check.id === 'B1' && loginSeconds !== undefined) {
    return { status: 'passed', observed: `the serial console in ${loginSeconds.toFixed(0)} s` }
  }
  return { status: 'skipped', observed: `cannot be checked, see ${reporter}: ${trouble.text}` }
}

/** The check that fails for a scene's trouble. Not every scene has the best fitting one, but every scene has one that fails. */
function reporterOf(
  { id: best }: NonNullable<SceneRecord['trouble']>,
  asked: readonly SceneCheck[],
): AssertionId | undefined {
  const candidates = [best, 'G1', 'C4'] as const
  const any = asked.find(({ needs }) => needs !== 'nothing')
  return candidates.find((candidate) => asked.some(({ id }) => id === candidate)) ?? any?.id
}

function notReached({ bootedFor }: BaseBoot): Finding {
  return {
    status: 'skipped',
    observed: `not reached: the boot that it resumes from failed, see ${bootedFor}`,
  }
}

/** One check's result as it appears in the report. */
export function resultOf(
  check: Check | OwnCheck,
  at: string,
  finding: Finding,
  seconds: number,
): CheckResult {
  return {
    id: check.id,
    title: 'title' in check ? check.title : contract[check.id].title,
    group: check.group,
    at,
    ...finding,
    // It may quote a file in the image, or the output of a program in it.
    observed: cleanText(cutTo(finding.observed, mostObserved)),
    seconds: roundSeconds(seconds),
  }
}

// --- internal ---

/** Nobody reads more, and a report with more than 16 MiB cannot be read at all. */
const mostObserved = 10_000

function cutTo(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}

interface Evidence {
  readonly lastLines: readonly string[]
  readonly screenshot: string | undefined
}

/** Evidence of a failed boot for people: the console's last lines, and the screen. */
async function lookAt({ guest, record }: Scene, checks: readonly CheckResult[]): Promise<Evidence> {
  const isFine = record.trouble === undefined && checks.every(({ status }) => status !== 'failed')
  if (isFine) return { lastLines: [], screenshot: undefined }
  const lastLines = (await guest.console()).trimEnd().split('\n').slice(-shownLines)
  return { lastLines, screenshot: await guest.screenshot().catch(() => undefined) }
}

function rounded({ agentSeconds, loginSeconds, readySeconds, trouble }: SceneRecord): Partial<SceneResult> {
  return {
    ...(agentSeconds === undefined ? {} : { agentSeconds: roundSeconds(agentSeconds) }),
    ...(loginSeconds === undefined ? {} : { loginSeconds: roundSeconds(loginSeconds) }),
    ...(readySeconds === undefined ? {} : { readySeconds: roundSeconds(readySeconds) }),
    ...(trouble === undefined ? {} : { trouble: trouble.text }),
  }
}

const roundSeconds = (seconds: number) => Math.round(seconds * 100) / 100
