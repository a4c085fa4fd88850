/** A verb, as the command line sees it. */

import type { Command } from 'commander'
import type { Terminal } from './terminal.ts'

/** Hands over the action of a verb, which runs once the whole command line is parsed. */
export type Choose = (action: () => Promise<number>) => void

/** Adds a verb's arguments and options to its command. */
export type DefineVerb = (command: Command, terminal: Terminal, choose: Choose) => void

export interface Verb {
  readonly name: string
  /** One line for `--help`. */
  readonly summary: string
  readonly load: () => Promise<DefineVerb>
}

/** The verb that completion scripts call; hidden from lists. */
export const completionCallback = '__complete'
