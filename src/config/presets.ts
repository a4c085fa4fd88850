/** One word that stands for many settings. */

import { targetNames, targets } from '../targets/registry.ts'
import { isRecord } from './overrides.ts'

/** `formats: 'cloudstack'`: files packed as CloudStack's package builds and servers have them. */
const formats = {
  cloudstack: Object.fromEntries(
    targetNames.flatMap((name) => {
      const { cloudstack } = targets[name]
      return cloudstack === undefined ? [] : [[name, cloudstack]]
    }),
  ),
} as const

export type FormatPreset = keyof typeof formats

/** Settings of formats, where a preset stands in their place. Others can then be laid over them. */
export function expandFormats(value: unknown): unknown {
  return typeof value === 'string' && Object.hasOwn(formats, value) ? formats[value as FormatPreset] : value
}

/** The same in a pipeline, or in values that are laid over one. What is packed for CloudStack is also laid out for it. */
export function expandPresets(values: unknown): unknown {
  if (!isRecord(values)) return values
  const expanded = expandFormats(values.formats)
  if (expanded === values.formats) return values
  return { repository: true, ...values, formats: expanded }
}
