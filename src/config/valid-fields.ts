/** Checks the fields of a pipeline one by one, so that a fault in one does not hide a fault in another. */

import { type FormatSettings, formatFields, type TargetName, targetNames } from '../targets/registry.ts'
import { isRecord } from './overrides.ts'
import { type PipelineFields, pipelineFields } from './pipeline.ts'

/** The fields of a pipeline that are valid by themselves; `formats` has the targets with valid settings. */
export type ValidFields = Partial<Omit<PipelineFields, 'formats'>> & { readonly formats: ValidFormats }

/** Settings of the targets whose settings are valid. */
export type ValidFormats = Partial<FormatSettings>

export function validFields(written: unknown): ValidFields {
  const values = isRecord(written) ? written : {}
  const { formats: _formats, ...shape } = pipelineFields.shape
  const fields = Object.entries(shape).flatMap(([name, schema]) => {
    const parsed = schema.safeParse(values[name])
    return parsed.success ? [[name, parsed.data]] : []
  })
  return { ...Object.fromEntries(fields), formats: validFormats(values.formats) } as ValidFields
}

/** @param written settings by target, as written in a pipeline */
export function validFormats(written: unknown): ValidFormats {
  const settings = isRecord(written) ? written : {}
  const valid = targetNames.flatMap((name: TargetName) => {
    const parsed = formatFields[name].safeParse(settings[name] ?? {})
    return parsed.success ? [[name, parsed.data]] : []
  })
  return Object.fromEntries(valid) as ValidFormats
}
