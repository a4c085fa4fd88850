/** The fields of a pipeline one by one: a fault in one of them hides no fault of another. */

import { isRecord } from './overrides.ts'
import { type PipelineFields, pipelineFields } from './pipeline.ts'

/** The fields of a pipeline that are valid by themselves. */
export type ValidFields = Partial<PipelineFields>

export function validFields(written: unknown): ValidFields {
  const values = isRecord(written) ? written : {}
  const fields = Object.entries(pipelineFields.shape).flatMap(([name, schema]) => {
    const parsed = schema.safeParse(values[name])
    return parsed.success ? [[name, parsed.data]] : []
  })
  return Object.fromEntries(fields) as ValidFields
}
