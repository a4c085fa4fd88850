/** What a verb is to the command line. */

import type { Command } from 'commander'
import type { Terminal } from './terminal.ts'

/** Hands over what a verb will do, once the whole command line is understood. */
export type Choose = (action: () => Promise<number>) => void

/** Adds a verb's arguments and options to its command. */
export type DefineVerb = (command: Command, terminal: Terminal, choose: Choose) => void

export interface Verb {
  readonly name: string
  /** One line for `--help`. */
  readonly summary: string
  readonly load: () => Promise<DefineVerb>
}

/** The verb that completion scripts call; no list shows it. */
export const completionCallback = '__complete'
