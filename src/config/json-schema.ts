/** JSON Schema for `--config` files, for use in editors: the fields of a pipeline, all optional. */

import { z } from 'zod'
import { pipelineFields } from './pipeline.ts'
import { formatPresets } from './presets.ts'
import type { StageUse } from './stage.ts'

export type JsonSchema = z.core.JSONSchema.JSONSchema

/**
 * The schema for any pipeline: it accepts every stage with any settings.
 * @param descriptions of fields, by path: `disk.partitions.sizeMiB`
 */
export function configurationJsonSchema(descriptions: ReadonlyMap<string, string>): JsonSchema {
  const { $schema, properties = {}, ...rest } = relax(z.toJSONSchema(pipelineFields, { io: 'input' }))
  const fields = describeProperties(properties, '', descriptions)
  const { description, ...formats } = fields.formats as JsonSchema
  return {
    $id: 'urn:systemvm-image:configuration:1',
    title: 'systemvm-image configuration',
    description: 'Values that override those of a pipeline.ts, as read by --config.',
    ...($schema === undefined ? {} : { $schema }),
    ...rest,
    properties: {
      ...fields,
      formats: { ...withText(description), anyOf: [{ enum: [...formatPresets] }, formats] },
      stages: {
        ...withText('Settings of stages, by the name of the stage.'),
        type: 'object',
        additionalProperties: { type: 'object' },
      },
    },
  }
}

/** The same for one pipeline: it accepts only that pipeline's stages and their settings. */
export function withStages(schema: JsonSchema, stages: readonly StageUse[]): JsonSchema {
  const settings = stages.map(({ name, spec }) => {
    const shape = z.strictObject(spec.settings ?? {})
    const { $schema: _, ...own } = relax(z.toJSONSchema(shape, { io: 'input', unrepresentable: 'any' }))
    return [name, { description: spec.summary, ...own }]
  })
  const known: JsonSchema = {
    ...withText('Settings of stages, by the name of the stage.'),
    type: 'object',
    properties: Object.fromEntries(settings),
    additionalProperties: false,
  }
  const { $id: _, ...rest } = schema
  return { ...rest, properties: { ...rest.properties, stages: known } }
}

// --- internal ---

/**
 * Fields of merged objects are optional. A list is replaced as a whole, so its items keep their required fields. A string
 * needs no quotes, even if YAML reads it as a number. Meaningless limits and defaults are removed.
 */
function relax(schema: JsonSchema, isMerged = true): JsonSchema {
  const relaxed = { ...schema }
  if (relaxed.maximum === Number.MAX_SAFE_INTEGER) delete relaxed.maximum
  if (JSON.stringify(relaxed.default) === '{}') delete relaxed.default
  if (isMerged) delete relaxed.required
  if (relaxed.type === 'string' && relaxed.enum === undefined && relaxed.const === undefined)
    relaxed.type = ['string', 'number']
  if (relaxed.items !== undefined) relaxed.items = relax(relaxed.items as JsonSchema, false)
  for (const key of ['anyOf', 'oneOf'] as const) {
    const choices = relaxed[key]
    if (choices !== undefined) relaxed[key] = choices.map((one) => relax(one as JsonSchema, false))
  }
  if (relaxed.properties !== undefined)
    relaxed.properties = mapProperties(relaxed.properties, (one) => relax(one, isMerged))
  return relaxed
}

function describeProperties(
  properties: Properties,
  at: string,
  descriptions: ReadonlyMap<string, string>,
): Properties {
  return mapProperties(properties, (schema, name) => {
    const path = at === '' ? name : `${at}.${name}`
    const within = (one: JsonSchema): JsonSchema => ({
      ...one,
      ...(one.items === undefined ? {} : { items: within(one.items as JsonSchema) }),
      ...(one.oneOf === undefined ? {} : { oneOf: one.oneOf.map((choice) => within(choice as JsonSchema)) }),
      ...(one.properties === undefined
        ? {}
        : { properties: describeProperties(one.properties, path, descriptions) }),
    })
    return { ...withText(descriptions.get(path)), ...within(schema) }
  })
}

type Properties = NonNullable<JsonSchema['properties']>

function mapProperties(
  properties: Properties,
  map: (schema: JsonSchema, name: string) => JsonSchema,
): Properties {
  const mapped = Object.entries(properties).map(([name, one]) => [name, map(one as JsonSchema, name)])
  return Object.fromEntries(mapped)
}

const withText = (description: string | undefined) => (description === undefined ? {} : { description })
