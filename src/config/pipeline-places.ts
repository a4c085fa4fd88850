/** Shows faults of a pipeline in its source, by tracing the running values back to the text that a person wrote. */

import { readRegularText } from '../host/regular-file.ts'
import type { Place } from '../text.ts'
import { type CallSite, callSiteOf } from './call-sites.ts'
import type { Fault } from './faults.ts'
import type { Pipeline } from './pipeline.ts'
import { findField, findName } from './source-fields.ts'
import { placesOf, type Span } from './yaml.ts'

/**
 * Adds the file and position to faults of the pipeline itself: the position of the field in the call of `definePipeline` or
 * of the stage, or else that of the call. A computed value, or one spread from elsewhere, is shown at the call.
 */
export async function placeFaults(faults: readonly Fault[], pipeline: Pipeline): Promise<readonly Fault[]> {
  return Promise.all(faults.map((fault) => placeFault(fault, pipeline)))
}

async function placeFault(fault: Fault, pipeline: Pipeline): Promise<Fault> {
  if (fault.source !== undefined) return fault
  const path = fault.path.split(/[.[\]]+/).filter(Boolean)
  const [field, name] = path
  const used = { stages: pipeline.stages, checks: pipeline.checks ?? [] }
  const uses: readonly { readonly name: string }[] =
    field === 'stages' || field === 'checks' ? used[field] : []
  const use = uses.find((one) => one.name === name)
  const site = callSiteOf(use ?? pipeline)
  const text = site && (await readRegularText(site.file).catch(() => undefined))
  if (site === undefined || text === undefined) return fault
  const start = offsetOf(text, site)
  const below = use === undefined ? path : path.slice(2)
  const span = findField(text, start, below, fault.part) ?? nameAt(text, start)
  return { ...fault, source: site.file, place: placesOf(text)(span) }
}

/**
 * The name at a position from a stack trace.
 * @param undefinedName the name that was not defined, if that is the error: Node reports the statement, not the name
 */
export function placeOfThrow(
  text: string,
  site: Pick<CallSite, 'line' | 'column'>,
  undefinedName?: string,
): Place {
  const start = offsetOf(text, site)
  const found = undefinedName === undefined ? undefined : findName(text, start, undefinedName)
  return placesOf(text)(found ?? nameAt(text, start))
}

function offsetOf(text: string, { line, column }: Pick<CallSite, 'line' | 'column'>): number {
  const before = text.split('\n').slice(0, line - 1)
  return before.reduce((sum, one) => sum + one.length + 1, column - 1)
}

function nameAt(text: string, start: number): Span {
  const [name = ''] = /^[\w$.]+/.exec(text.slice(start)) ?? []
  return [start, start + Math.max(1, name.length)]
}
