/** This project's Containerfile, read by a third-party parser. */

import { readFileSync } from 'node:fs'
import { DockerfileParser } from 'dockerfile-ast'

export const containerfile = new URL('../../Containerfile', import.meta.url).pathname

/** The commands of its steps, in order, each for a shell. */
export function readSteps(): readonly string[] {
  return DockerfileParser.parse(readFileSync(containerfile, 'utf8'))
    .getInstructions()
    .filter((instruction) => instruction.getKeyword() === 'RUN')
    .map((instruction) => instruction.getRawArgumentsContent() ?? '')
}

/** The packages that its steps install by name. */
export function readPackages(): readonly string[] {
  return readSteps().flatMap((step) => {
    const [, names = ''] = /apt-get install ([^;]*);/.exec(step) ?? []
    return names.split(/[\s\\]+/).filter((word) => word !== '' && !word.startsWith('-'))
  })
}
