/** How long the program takes to refuse what it cannot use. */

import { execFileSync } from 'node:child_process'
import { mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'

export interface Refusal {
  readonly job: string
  /** Median of the rounds. */
  readonly seconds: number
}

/** @param folder an existing folder for the inputs */
export async function measureRefusals(
  program: string,
  folder: string,
  rounds: number,
): Promise<readonly Refusal[]> {
  const measured: Refusal[] = []
  for (const { job, words, environment } of await prepare(folder)) {
    const times: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const started = performance.now()
      const { exitCode } = await execa(process.execPath, [program, ...words], {
        reject: false,
        env: environment ?? {},
      })
      times.push((performance.now() - started) / 1000)
      if (exitCode !== 2 && exitCode !== 3) throw new Error(`${words.join(' ')} ended with ${exitCode}`)
    }
    measured.push({
      job: `refusal of ${job}`,
      seconds: times.sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0,
    })
  }
  return measured
}

// --- internal ---

interface Case {
  readonly job: string
  readonly words: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

async function prepare(folder: string): Promise<readonly Case[]> {
  const at = (name: string) => join(folder, name)
  await mkdir(at('empty'))
  await writeFile(at('text.qcow2'), '#!/bin/sh\n')
  await writeFile(at('text.raw'), '#!/bin/sh\n')
  await writeFile(at('disk.raw'), '')
  await truncate(at('disk.raw'), 5 * 1024 ** 3)
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('odd.qcow2'), '500M'])
  await writeFile(at('cut.bz2'), 'BZh91AY')
  const out = ['--out', at('out')]
  const exportOf = (name: string) => ['export', '--from', at(name), ...out]
  return [
    { job: 'an unknown option', words: ['plan', '--none'] },
    { job: 'an unknown target', words: ['plan', '--set', 'targets=[kwm]', ...out] },
    { job: 'a missing pipeline', words: ['plan', '--pipeline', at('none.ts'), ...out] },
    { job: 'a text as a qcow2', words: exportOf('text.qcow2') },
    { job: 'a text as a raw disk', words: exportOf('text.raw') },
    { job: 'a disk of zeros', words: exportOf('disk.raw') },
    { job: 'a size that no VHD has', words: exportOf('odd.qcow2') },
    { job: 'half an archive', words: exportOf('cut.bz2') },
    {
      job: 'a TMPDIR that is missing',
      words: exportOf('odd.qcow2'),
      environment: { TMPDIR: at('none') },
    },
    { job: 'a folder that is no release', words: ['release', 'verify', at('empty')] },
  ]
}
