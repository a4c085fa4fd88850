/** Presets: a single word that stands for many settings. */

import { targetNames, targets } from '../targets/registry.ts'
import { isRecord } from './overrides.ts'

/** `formats: 'cloudstack'`: files packed as CloudStack's package builds and servers expect. */
const formats = {
  cloudstack: Object.fromEntries(
    targetNames.flatMap((name) => {
      const { cloudstack } = targets[name]
      return cloudstack === undefined ? [] : [[name, cloudstack]]
    }),
  ),
} as const

export type FormatPreset = keyof typeof formats

export const formatPresets = Object.keys(formats) as readonly FormatPreset[]

/** Replaces a preset with its settings, so that other settings can be merged into them. */
export function expandFormats(value: unknown): unknown {
  return typeof value === 'string' && Object.hasOwn(formats, value) ? formats[value as FormatPreset] : value
}

/** The same for a pipeline or its overrides. Files packed for CloudStack also get CloudStack's folder layout. */
export function expandPresets(values: unknown): unknown {
  if (!isRecord(values)) return values
  const expanded = expandFormats(values.formats)
  if (expanded === values.formats) return values
  return { repository: true, ...values, formats: expanded }
}
