import { expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import type { Inputs } from '../../../src/provenance/inputs.ts'
import type { ReleaseRecord } from '../../../src/release/record.ts'
import { renderStatement, statementSchema } from '../../../src/release/statement.ts'

const origin = { registry: 'ghcr.io/owner/layers', pulledAt: '2026-01-02T03:04:05.000Z' }
const layerOf = (name: string): Inputs['layers'][number] => ({
  ...{ name, key: sha256(name), sha256: sha256(`disk of ${name}`) },
  ...{ script: null, files: {}, scripts: [], installerFiles: {}, tools: {} },
})

it('a statement names the layers that other machines made, and who signed them', () => {
  const inputs = {
    variant: 'trixie-x86_64',
    archives: [],
    packages: [],
    templates: {},
    layers: [
      { ...layerOf('base'), origin },
      { ...layerOf('first'), origin: { ...origin, signedBy: 'a key' } },
      layerOf('second'),
    ],
  } as unknown as Inputs
  const text = renderStatement({
    record: {
      version: 1,
      name: 'x',
      release: '1',
      tag: null,
      exceptions: [],
      source: null,
      variants: [],
    } as ReleaseRecord,
    subjects: [{ name: 'x.qcow2', sha256: sha256('x'), sha512: 'x' }],
    inputs: new Map([['trixie-x86_64', inputs]]),
    claimed: undefined,
    program: '0',
  })
  const { predicate } = statementSchema.parse(JSON.parse(text))
  const layers = predicate.buildDefinition.resolvedDependencies.filter(({ name }) =>
    name?.startsWith('layer '),
  )
  const describe = (name: string, signedBy: string | null) => ({
    name: `layer ${name}`,
    uri: `oci://ghcr.io/owner/layers:${sha256(name)}`,
    digest: { sha256: sha256(`disk of ${name}`) },
    annotations: { pulledAt: origin.pulledAt, signedBy },
  })
  expect(layers).toEqual([describe('base', null), describe('first', 'a key')])
})
