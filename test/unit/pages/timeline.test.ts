import { describe, expect, it } from 'vitest'
import { findCriticalPath } from '../../../src/pages/critical-path.ts'
import { viewTimeline } from '../../../src/pages/timeline.ts'
import { makeLargeReport } from '../../support/large-report.ts'

const span = (name: string, startSeconds: number, endSeconds: number) => ({ name, startSeconds, endSeconds })
const namesOf = (spans: ReturnType<typeof findCriticalPath>) => spans.map(({ name }) => name)

describe('the critical path', () => {
  it('is the chain of what had to end first, up to the last end', () => {
    const spans = [
      span('boot', 0, 4),
      span('stage', 4.1, 9),
      span('export fast', 9, 12),
      span('export slow', 9.1, 20),
      span('flatten', 9, 9.5),
    ]
    expect(namesOf(findCriticalPath(spans))).toEqual(['boot', 'stage', 'export slow'])
  })

  it('ends where nothing ended before, whatever the spans are', () => {
    expect(findCriticalPath([])).toEqual([])
    expect(namesOf(findCriticalPath([span('a', 0, 0), span('b', 0, 0), span('c', 0, 0)]))).toHaveLength(1)
    expect(namesOf(findCriticalPath([span('late', 5, 6), span('later', 5.1, 7)]))).toEqual(['later'])
  })
})

describe('the timeline', () => {
  const report = makeLargeReport()
  const view = viewTimeline(report)
  const rows = view.groups.flatMap((group) => group.rows)

  it('has every part and stage once, with its time', () => {
    const names = [...report.timings, ...report.stages].map(({ name }) => name)
    expect(rows.map(({ name }) => name).sort()).toEqual(names.sort())
    expect(rows.find(({ name }) => name === 'export kvm')?.time).toBe('20.0s')
  })

  it('marks cached stages, which have no bar, and the critical path', () => {
    const cached = rows.filter(({ isCached }) => isCached)
    expect(cached).toHaveLength(9)
    expect(cached.filter(({ bar }) => bar !== undefined)).toEqual([])
    const critical = rows.filter(({ isCritical }) => isCritical).map(({ name }) => name)
    expect(critical).toEqual([
      'wake',
      'configure_systemvm_part_9',
      'configure_systemvm_part_10',
      'configure_systemvm_part_11',
      'configure_systemvm_part_12',
      'configure_systemvm_part_13',
      'shutdown',
      'export kvm',
      'verify kvm',
    ])
  })

  it('draws bars in proportion, and verification on an axis of its own', () => {
    expect(view.groups.map(({ caption }) => caption)).toEqual([
      'Making the image: 1m 19s',
      'Verifying it: 1m 15s',
    ])
    // From 1 to 80 s.
    expect(rows.find(({ name }) => name === 'export kvm')?.bar).toEqual({ x: '74.684%', width: '25.316%' })
    expect(rows.find(({ name }) => name === 'verify kvm')?.bar).toEqual({ x: '0%', width: '100%' })
  })

  it('says so if nothing had to run', () => {
    const stages = report.stages.slice(0, 9)
    expect(viewTimeline({ ...report, timings: [], stages })).toMatchObject({
      path: undefined,
      withoutPath: 'Nothing had to run.',
    })
  })

  it('has no bars and no path of a report that does not say when parts began', () => {
    const without = {
      ...report,
      timings: report.timings.map(({ name, seconds }) => ({ name, seconds })),
      stages: report.stages.map(({ startedSeconds: _, ...stage }) => stage),
    }
    const old = viewTimeline(without)
    expect(old.path).toBeUndefined()
    expect(old.withoutPath).toContain('does not say when its parts began')
    expect(old.groups.flatMap((group) => group.rows).filter(({ bar }) => bar !== undefined)).toEqual([])
  })
})
