/** Lets a person look into the guest of a failed stage, and decide what to do. */

import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { exitCodes, PipelineError } from '../errors.ts'
import { openSshShell } from '../qemu/ssh.ts'
import type { Decide, Decision } from '../stages/hold.ts'
import type { Terminal } from './terminal.ts'

const answers: Readonly<Record<string, Decision>> = { r: 'retry', g: 'go on', s: 'stop', '': 'stop' }

/** Opens a shell in the guest, then asks. @throws PipelineError if there is no terminal to ask on */
export function askPerson(terminal: Terminal, { stdin, stderr }: NodeJS.Process): Decide {
  if (stdin.isTTY !== true || stderr.isTTY !== true) {
    throw new PipelineError({
      code: 'no-terminal',
      message: '--on-failure shell needs a terminal, and this is not one',
      hint: 'run it in one, or leave the option out: the layers before the stage are kept all the same.',
      exitCode: exitCodes.badInput,
    })
  }
  return async ({ name, failure, port, privateKey }, signal) => {
    const { colors } = terminal
    terminal.error(`${colors.red('✖')} ${failure.message}\n`)
    for (const line of (failure.details.lastLines as readonly string[] | undefined) ?? []) {
      terminal.error(colors.dim(`  │ ${line}\n`))
    }
    terminal.error(`a root shell in the guest, as ${name} has left it; leave it with exit\n`)
    await openSshShell({ key: privateKey, port }, [])
    const questions = createInterface({ input: stdin, output: stderr })
    try {
      // Closing the terminal means stop.
      const closed = once(questions, 'close').then(() => 's')
      for (;;) {
        const asked = questions.question(
          `[r]etry ${name} where it began, with its files as they are now\n` +
            '[g]o on with the next stages, and keep none of them\n[s]top\n> ',
          { signal },
        )
        const text = await Promise.race([asked, closed])
        const decision = answers[text.trim().toLowerCase().slice(0, 1)]
        if (decision !== undefined) return decision
      }
    } finally {
      questions.close()
    }
  }
}
