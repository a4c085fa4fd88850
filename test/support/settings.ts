/** Every text in a pipeline's configuration, by its path, and YAML values with a text at that path. */

import { z } from 'zod'
import { pipelineFields } from '../../src/config/pipeline.ts'
import type { StageUse } from '../../src/config/stage.ts'

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
}

export interface TextSetting {
  /** For example, `variants[].label`. */
  readonly name: string
  /** The configuration with a value at this path, and nothing else. */
  readonly holding: (value: unknown) => Readonly<Record<string, unknown>>
}

const leaves = (schema: Schema, name: string, wrap: (value: unknown) => unknown): TextSetting[] => [
  ...Object.entries(schema.properties ?? {}).flatMap(([key, inner]) =>
    leaves(inner, name === '' ? key : `${name}.${key}`, (value) => wrap({ [key]: value })),
  ),
  ...(schema.items === undefined ? [] : leaves(schema.items, `${name}[]`, (value) => wrap([value]))),
  ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((inner) => leaves(inner, name, wrap)),
  ...(schema.type === 'string'
    ? [{ name, holding: (value: unknown) => wrap(value) as Record<string, unknown> }]
    : []),
]

/** Unique by name: a union may allow a text in two ways. */
export function textSettings(stages: readonly StageUse[]): readonly TextSetting[] {
  const ofStages = Object.fromEntries(
    stages.map(({ name, spec }) => [name, z.strictObject(spec.settings ?? {})]),
  )
  const schema = z.strictObject({ ...pipelineFields.shape, stages: z.strictObject(ofStages) })
  const all = leaves(
    z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema,
    '',
    (value) => value,
  )
  return [...new Map(all.map((leaf) => [leaf.name, leaf])).values()]
}
