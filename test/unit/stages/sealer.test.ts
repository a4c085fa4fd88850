import { EventEmitter } from 'node:events'
import { mkdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { PipelineError } from '../../../src/errors.ts'
import { planImage } from '../../../src/plan/plan.ts'
import type { Qmp } from '../../../src/qemu/qmp.ts'
import { sealFailed } from '../../../src/stages/failures.ts'
import type { StageOutcome } from '../../../src/stages/recorder.ts'
import { createSealer } from '../../../src/stages/sealer.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()

function outcomeOf(name: string): StageOutcome {
  const packages = { added: [], removed: [], upgraded: [] }
  return { name, exitStatus: 0, buildTimeSeconds: 1, artifacts: [], missing: [], packages, lastLines: [] }
}

const still = async () => undefined

/** Has the first stage sealed with a QEMU and a store that do as they are told; returns what failed. */
async function seal(execute: Qmp['execute'], commit: Store['commit']): Promise<readonly PipelineError[]> {
  const { stages } = await planImage(await sampleImage(path()), openStore(path('store')))
  mkdirSync(path('store'), { recursive: true })
  const failures: PipelineError[] = []
  const sealer = createSealer({
    stages,
    store: { ...openStore(path('store')), commit },
    tools: {},
    qmp: () => ({ execute, events: new EventEmitter(), close: () => undefined }),
    channel: Promise.resolve({ freeze: still, thaw: still, suspend: still, resume: still, release: still }),
    suspender: { started: () => undefined, isWorthIt: () => false, save: still, commit: still },
    parent: {} as Layer,
    logOf: (name) => `${name}.log`,
    onSealed: () => undefined,
  })
  await sealer
    .checkpoint('first')
    .then(() => sealer.record(outcomeOf('first')))
    .catch((cause) => failures.push(sealFailed('first', cause, path('store'))))
  return failures
}

const answer = async () => []
const refuse = (text: string) => async () => {
  throw new Error(text)
}

describe('a layer that cannot be sealed', () => {
  it.each([
    ['recorded', answer, refuse('ENOSPC: no space left on device, write')],
    ['laid down', refuse('QEMU refused blockdev-snapshot-sync: No space left on device'), answer],
  ])(
    'for want of space when it is %s is a full disk, by the name of its folder',
    async (_case, qemu, store) => {
      const [failure] = await seal(qemu, store as unknown as Store['commit'])
      expect(failure).toMatchObject({
        code: 'disk-full',
        message: `the disk that holds ${path('store')} is full`,
      })
      expect(failure?.hint).toContain('free some space there and run the build again')
    },
  )

  it('for another reason is told with it', async () => {
    const [failure] = await seal(refuse('QEMU ended during query-blockstats'), answer as never)
    expect(failure).toMatchObject({ code: 'seal-failed' })
    expect(failure?.message).toContain('QEMU ended during query-blockstats')
  })
})
