/** Lets a person inspect the guest of a failed stage and decide what to do. */

import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { exitCodes, PipelineError } from '../errors.ts'
import { openSshShell } from '../qemu/ssh.ts'
import type { Decide, Decision } from '../stages/hold.ts'
import type { Terminal } from './terminal.ts'
import { renderFailure } from './views/failure.ts'

const answers: Readonly<Record<string, Decision>> = { r: 'retry', g: 'go on', s: 'stop', '': 'stop' }

/**
 * Offers a shell in the guest of a failed stage, repeatedly, until the run ends; undefined without a terminal.
 * @param onHeld called once the stage has failed
 * @param onShell called with a promise for each shell, which settles when the shell ends
 */
export function offerShell(
  terminal: Terminal,
  { stdin, stderr }: NodeJS.Process,
  { onHeld, onShell }: { readonly onHeld: () => void; readonly onShell: (closed: Promise<unknown>) => void },
): Decide | undefined {
  if (stdin.isTTY !== true || stderr.isTTY !== true) return undefined
  return async ({ name, failure, port, privateKey }, signal) => {
    onHeld()
    const { message, hint, details } = failure
    terminal.error(renderFailure({ message, hint, lastLines: details.lastLines }, terminal.colors))
    for (;;) {
      terminal.error(
        `Press Enter for a root shell in the guest as ${name} left it, or save a file to try again.\n`,
      )
      const lines = createInterface({ input: stdin })
      await once(lines, 'line', { signal }).finally(() => lines.close())
      const shell = openSshShell({ key: privateKey, port }, [])
      onShell(shell)
      await shell
    }
  }
}

/** Opens a shell in the guest, then asks. @throws PipelineError if there is no terminal to ask on */
export function askPerson(terminal: Terminal, { stdin, stderr }: NodeJS.Process): Decide {
  if (stdin.isTTY !== true || stderr.isTTY !== true) {
    throw new PipelineError({
      code: 'no-terminal',
      message: '--on-failure shell needs a terminal, and this is not one',
      hint: 'run it in a terminal, or leave the option out: the layers before the stage are kept anyway.',
      exitCode: exitCodes.badInput,
    })
  }
  return async ({ name, failure, port, privateKey }, signal) => {
    const { colors } = terminal
    terminal.error(renderFailure({ message: failure.message, lastLines: failure.details.lastLines }, colors))
    terminal.error(`a root shell in the guest as ${name} left it; type exit to leave it\n`)
    await openSshShell({ key: privateKey, port }, [])
    const questions = createInterface({ input: stdin, output: stderr })
    try {
      // Closing the terminal means stop.
      const closed = once(questions, 'close').then(() => 's')
      for (;;) {
        const asked = questions.question(
          `[r]etry ${name} from its start, with its current files\n` +
            '[g]o on with the next stages, without keeping their layers\n[s]top\n> ',
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
