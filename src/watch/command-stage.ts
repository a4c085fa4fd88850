/** A command in the guest, as a stage after the one that a person is changing. */

import { join } from 'node:path'
import { plainStage, type ResolvedImage, type ResolvedStage } from '../config/resolved.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { writeFile } from '../host/writing.ts'

/** Name of the stage. */
export const commandStage = 'then'

/** Writes the stage's script to `folder`. */
export async function writeCommand(command: string, folder: string): Promise<string> {
  const script = join(folder, `${commandStage}.sh`)
  await writeFile(script, `#!/bin/sh\n${command}\n`, { mode: 0o600 })
  return script
}

/** The image with the command's stage after `stage`, and without later stages. @throws PipelineError `usage` */
export function withCommand(image: ResolvedImage, stage: string, script: string): ResolvedImage {
  if (image.stages.some(({ name }) => name === commandStage)) {
    throw new PipelineError({
      code: 'usage',
      message: `a stage of ${image.name} is called ${commandStage}, the name that --${commandStage} uses`,
      hint: 'rename the stage, or leave the option out.',
      exitCode: exitCodes.badInput,
    })
  }
  const last = image.stages.findIndex(({ name }) => name === stage)
  return { ...image, stages: [...image.stages.slice(0, last + 1), stageOf(script)] }
}

function stageOf(script: string): ResolvedStage {
  return { ...plainStage, name: commandStage, summary: `the command of --${commandStage}`, script }
}
