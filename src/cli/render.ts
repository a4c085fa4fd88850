/** `render`: writes the Packer template and the preseed of a variant, for people to read. */

import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { exitCodes } from '../errors.ts'
import { writeDurably } from '../host/files.ts'
import { outFolderAt, requireWritable } from '../host/out-folder.ts'
import { renderFiles } from '../make/render-files.ts'
import type { PackerDialect } from '../packer/template.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface RenderOptions extends PipelineOptions {
  readonly dialect: PackerDialect
}

export function renderCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(command)
    .addOption(
      new Option('--dialect <version>', 'Packer version to write for').choices(['1.6', '1.7']).default('1.7'),
    )
    .action((options: RenderOptions) => choose(() => render(options, terminal)))
}

async function render(options: RenderOptions, terminal: Terminal): Promise<number> {
  const { images, outFolder } = await choosePipeline(options)
  for (const image of images) {
    const folder = join(outFolderAt(outFolder).render, image.variant)
    await requireWritable(folder)
    for (const [name, content] of Object.entries(renderFiles(image, options.dialect))) {
      await writeDurably(join(folder, name), content)
      terminal.out(`${join(folder, name)}\n`)
    }
  }
  return exitCodes.ok
}
