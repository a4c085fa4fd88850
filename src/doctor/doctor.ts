/** Checks whether this host and its mirrors are fit to build, before anything is built. */

import { messageOf, PipelineError } from '../errors.ts'
import type { DoctorCheck, Finding, HostInput, Probe } from './check.ts'
import { contextOf, hostChecks } from './host-checks.ts'

export interface DoctorReport {
  readonly checks: readonly DoctorCheck[]
  /** Whether a build can start, i.e. there are no faults. Warnings cost time, but do not fail the build. */
  readonly isFit: boolean
}

/** Runs all checks in parallel. Throws only if `signal` is aborted: a check that fails is a fault in the report. */
export async function diagnose(input: HostInput): Promise<DoctorReport> {
  const context = contextOf('doctor', input)
  const probes = hostChecks.flatMap((check) => check.probes(context))
  const checks = (await Promise.all(probes.map(examine))).flat()
  input.signal?.throwIfAborted()
  return { checks, isFit: checks.every((check) => check.status !== 'fault') }
}

// --- internal ---

async function examine({ id, title, run }: Probe): Promise<readonly DoctorCheck[]> {
  try {
    const found = await run()
    return 'status' in found ? [toCheck({ id, title, ...found })] : found.map(toCheck)
  } catch (error) {
    const advice = error instanceof PipelineError ? error.hint : 'this check itself failed, which is a bug.'
    return [{ id, title, status: 'fault', found: messageOf(error), advice }]
  }
}

/** Drops the fields that only refused tasks need. */
function toCheck({
  id,
  title,
  status,
  found,
  advice,
}: Finding & Pick<DoctorCheck, 'id' | 'title'>): DoctorCheck {
  return { id, title, status, found, ...(advice === undefined ? {} : { advice }) }
}
