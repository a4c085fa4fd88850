/** The published schema of `--config`: of the fields there are, each with a word about it, and of one mind with the program. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { configurationJsonSchema, type JsonSchema, withStages } from '../../../src/config/json-schema.ts'
import { defineStage, z } from '../../../src/config/stage.ts'
import { fieldComments } from '../../support/field-comments.ts'
import { read } from '../../support/imports.ts'

const published = new URL('../../../schema/configuration.schema.json', import.meta.url)
const readPublished = () => JSON.parse(readFileSync(published, 'utf8')) as JsonSchema

function undescribed(schema: JsonSchema, path: string): readonly string[] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => {
    const at = `${path}.${name}`
    const { description } = one as JsonSchema
    return [...(description === undefined ? [at] : []), ...undescribed(one as JsonSchema, at)]
  })
  const below = [schema.items, ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])]
  return [
    ...inner,
    ...below.flatMap((one) => (one === undefined ? [] : undescribed(one as JsonSchema, path))),
  ]
}

describe('the published schema', () => {
  it('is that of the fields, with the comments in their sources', async () => {
    const schema = configurationJsonSchema(fieldComments())
    // After a change of a field or its comment: npx vitest run --project unit test/unit/config -u
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(fileURLToPath(published))
  })

  it('has a description of every field', () => {
    expect(undescribed(readPublished(), '')).toEqual([])
  })
})

describe('a file of overrides', () => {
  const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, formats: { date: true } })
  const isValid = ajv.compile(readPublished())

  it.each([
    ['nothing', '{}'],
    ['one field of a group, as it is merged', 'account: { fullName: Cloud }'],
    ['a text that looks like a number', 'release: 4.20'],
    ['a preset', 'formats: cloudstack'],
    ['formats one by one', 'formats: { kvm: { compression: zstd }, vmware: { nic: e1000 } }'],
    ['an installer by name', 'installer: debian-installer'],
    ['an installer that is an image', 'installer: { image: /srv/golden.qcow2 }'],
    ['a stage of any pipeline', 'stages: { greet: { greeting: hello } }'],
    ['a list as a whole', 'variants: [{ suite: trixie, arch: x86_64 }]'],
  ])('may have %s', (_what, text) => {
    expect(isValid(parse(text)), JSON.stringify(isValid.errors)).toBe(true)
  })

  it.each([
    ['a misspelled field', 'hostnaem: a'],
    ['one below another', 'machine: { cpu: 4 }'],
    ['a number that is too small', 'machine: { cpus: 0 }'],
    ['a value that is none of those there are', 'targets: [kvn]'],
    ['a list that lacks a field', 'variants: [{ suite: trixie }]'],
    ['a text that breaks its rule', 'hostname: Not A Name'],
    ['a preset that is none', 'formats: cloudstuck'],
    ['settings that are none', 'stages: { greet: hello }'],
  ])('may not have %s', (_what, text) => {
    expect(isValid(parse(text))).toBe(false)
  })

  it('is valid where the documents show one', () => {
    const page = read('docs/configuration.md')
    const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text)
    expect(examples.length).toBeGreaterThan(0)
    for (const text of [...examples, read('examples/debian-cloud/site.yaml')]) {
      expect(isValid(parse(text)), `${text}\n${JSON.stringify(isValid.errors)}`).toBe(true)
      expect(text).toMatch(/^# yaml-language-server: \$schema=\S*schema\/configuration\.schema\.json$/m)
    }
  })
})

describe('the schema for one pipeline', () => {
  const greet = defineStage({
    name: 'greet',
    summary: 'a greeting',
    from: import.meta.url,
    settings: { greeting: z.string().describe('what to say'), times: z.int().default(1) },
  })
  const schema = withStages(readPublished(), [greet({ greeting: 'hello' })])
  const isValid = new Ajv2020({ strict: true, allowUnionTypes: true, formats: { date: true } }).compile(
    schema,
  )

  it.each([
    [true, 'stages: { greet: { times: 2 } }'],
    [false, 'stages: { greet: { time: 2 } }'],
    [false, 'stages: { great: {} }'],
  ])('says %s of %s', (verdict, text) => {
    expect(isValid(parse(text))).toBe(verdict)
  })

  it('has what authors say of their settings', () => {
    expect(schema).toMatchObject({
      properties: {
        stages: { properties: { greet: { properties: { greeting: { description: 'what to say' } } } } },
      },
    })
  })
})
