/** Rules between the fields of a pipeline, as far as the fields themselves are valid: a person sees all faults at once. */

import type { Surroundings } from '../targets/target.ts'
import { diskFaults } from './disk-rules.ts'
import type { Fault } from './faults.ts'
import type { Overrides } from './overrides.ts'
import { registrationFaults } from './registration-rules.ts'
import { settingFaults } from './suite-settings.ts'
import { targetFaults } from './target-rules.ts'
import type { ValidFields } from './valid-fields.ts'

/** When the files of images are said to be made. */
export interface Epoch {
  readonly seconds: number
  readonly source: NonNullable<Surroundings['epoch']>['source']
}

export function faultsBetween(fields: ValidFields, epoch: Epoch, overrides: readonly Overrides[]): Fault[] {
  const { disk, targets, formats } = fields
  return [
    ...(disk === undefined ? [] : diskFaults(disk, overrides)),
    ...(targets === undefined
      ? []
      : targetFaults(targets, formats, surroundingsOf(fields, epoch), overrides)),
    ...registrationFaults(fields, overrides),
    ...settingFaults(fields, overrides),
  ]
}

// --- internal ---

function surroundingsOf({ disk, kernelPackage }: ValidFields, epoch: Epoch): Surroundings {
  return {
    ...(disk === undefined ? {} : { diskMiB: disk.sizeMiB, partitions: disk.partitions }),
    ...(kernelPackage === undefined ? {} : { kernelPackage }),
    epoch,
  }
}
