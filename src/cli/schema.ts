/** `schema`: the JSON Schema of `--config` for one pipeline. */

import { join } from 'node:path'
import type { Command } from 'commander'
import { isPackage, sourceFolder } from '../compile/program.js'
import { type JsonSchema, withStages } from '../config/json-schema.ts'
import { defaultPipeline, importPipeline } from '../config/load.ts'
import { exitCodes } from '../errors.ts'
import { readRegularText } from '../host/regular-file.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

/** Published with descriptions, which come from the comments in the sources. */
const published = join(sourceFolder(), isPackage ? '..' : '.', 'schema/configuration.schema.json')

interface SchemaOptions {
  readonly pipeline: string
}

export function schemaCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .option('--pipeline <file>', 'pipeline whose stages are in the schema', defaultPipeline)
    .action((options: SchemaOptions) => choose(() => printSchema(options, terminal)))
}

async function printSchema({ pipeline }: SchemaOptions, terminal: Terminal): Promise<number> {
  const { stages } = await importPipeline(pipeline)
  const schema = JSON.parse(await readRegularText(published)) as JsonSchema
  terminal.out(`${JSON.stringify(withStages(schema, stages), null, 2)}\n`)
  return exitCodes.ok
}
