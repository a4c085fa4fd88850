/** Stages as they appear in the report. */

import type { PipelineError } from '../errors.ts'
import type { PlannedStage } from '../plan/plan.ts'
import { describeFailure } from '../report/failure.ts'
import type { StageResult } from '../report/report.ts'
import type { Layer } from '../store/layer-record.ts'
import type { StageOutcome } from './recorder.ts'

/** A stage whose layer is in the store. */
export function resultOfLayer(layer: Layer, status: 'ran' | 'cached'): StageResult {
  return {
    name: layer.name,
    status,
    build_time: layer.buildTimeSeconds,
    key: layer.key,
    log: layer.log,
    exitStatus: 0,
    artifacts: [...layer.artifacts],
    packages: layer.packages,
    bytesWritten: layer.bytesWritten,
    layer: { sha256: layer.sha256, sizeBytes: layer.sizeBytes },
    ...(layer.origin === undefined ? {} : { origin: layer.origin }),
  }
}

/** A stage that never started, or whose layer could not be sealed. */
export function resultOfSkipped({ name, key }: Pick<PlannedStage, 'name' | 'key'>): StageResult {
  return {
    name,
    status: 'skipped',
    build_time: 0,
    key,
    log: null,
    exitStatus: null,
    artifacts: [],
    packages: { added: [], removed: [], upgraded: [] },
    bytesWritten: 0,
    layer: null,
  }
}

/** A stage that succeeded on top of a failed one: its layer is not kept. */
export function resultOfUnkept(stage: PlannedStage, outcome: StageOutcome, log: string): StageResult {
  const { buildTimeSeconds, exitStatus, artifacts, packages } = outcome
  return {
    ...resultOfSkipped(stage),
    status: 'ran',
    build_time: buildTimeSeconds,
    log,
    exitStatus,
    artifacts: [...artifacts],
    packages,
  }
}

/** A stage that started and left no layer. */
export function resultOfFailed(
  stage: PlannedStage,
  outcome: StageOutcome,
  failure: PipelineError,
  log: string,
): StageResult {
  return {
    ...resultOfSkipped(stage),
    status: 'failed',
    build_time: outcome.buildTimeSeconds,
    log,
    // Negative for a stage that was cut off.
    exitStatus: outcome.exitStatus < 0 ? null : outcome.exitStatus,
    artifacts: [...outcome.artifacts],
    packages: outcome.packages,
    failure: describeFailure(failure, outcome.lastLines),
  }
}
