/** Lets debconf itself check a preseed before an entire installation depends on it. */

import { exitCodes, PipelineError, shownLines } from '../../errors.ts'
import { bareEnvironment } from '../../host/bare-environment.ts'
import { execa } from '../../host/execa.ts'
import { findProgram } from '../../host/tools.ts'

/**
 * Parses a preseed with `debconf-set-selections`, without applying it. Accepts everything on a host without that program.
 * @throws PipelineError `preseed-syntax`
 */
export async function checkPreseed(preseed: string, signal?: AbortSignal): Promise<void> {
  const program = await findProgram('debconf-set-selections')
  if (program === undefined) return
  const { exitCode, stdout, stderr } = await execa(program, ['--checkonly'], {
    input: preseed,
    reject: false,
    timeout: 30_000,
    ...bareEnvironment(),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  signal?.throwIfAborted()
  // It exits with 0 even for an unknown question type, and only complains on stderr.
  const said = `${stdout}\n${stderr}`.trim()
  if (exitCode === 0 && said === '') return
  throw new PipelineError({
    code: 'preseed-syntax',
    message: `debconf-set-selections refuses the preseed: ${said.split('\n')[0] || `exit status ${exitCode}`}`,
    hint: 'fix debianInstaller.extraAnswers in pipeline.ts, or templates/preseed.cfg.hbs; render writes the file.',
    exitCode: exitCodes.badInput,
    details: { lastLines: said.split('\n').slice(-shownLines) },
  })
}
