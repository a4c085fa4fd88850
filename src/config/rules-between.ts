/** Rules between the fields of a pipeline, checked wherever those are valid, so that a person sees all faults at once. */

import type { Surroundings } from '../targets/target.ts'
import { type Fault, formatFound } from './faults.ts'
import { type Overrides, originOf } from './overrides.ts'
import { registrationFaults } from './registration-rules.ts'
import { settingFaults } from './suite-settings.ts'
import type { ValidFields } from './valid-fields.ts'
import { variantFaults } from './variant-rules.ts'

/** The timestamp of image files. */
export interface Epoch {
  readonly seconds: number
  readonly source: NonNullable<Surroundings['epoch']>['source']
}

export function faultsBetween(fields: ValidFields, epoch: Epoch, overrides: readonly Overrides[]): Fault[] {
  return [
    ...variantFaults(fields, epoch, overrides),
    ...registrationFaults(fields, overrides),
    ...settingFaults(fields, overrides),
    ...dateFaults(fields, epoch, overrides),
  ]
}

// --- internal ---

/** e2fsprogs 1.47 writes the time of a new file as a signed 32-bit number, so the kernel reads a later time as 1903. */
const lastFileSecond = 2 ** 31 - 1

function dateFaults(
  { reproducible }: ValidFields,
  { seconds, source }: Epoch,
  overrides: readonly Overrides[],
): Fault[] {
  if (reproducible !== true || seconds <= lastFileSecond) return []
  const day = new Date(seconds * 1000).toISOString().slice(0, 10)
  return [
    {
      path: source,
      rule: 'must be at most 2038-01-19, the latest date that e2fsprogs can write; or set reproducible: false',
      found: formatFound(source === 'date' ? day : seconds),
      ...originOf(overrides, [source]),
    },
  ]
}
