import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const project = fileURLToPath(new URL('../../../', import.meta.url))
const program = 'bin/systemvm-image.js'

const completion = async (shell: string) =>
  (await execa(process.execPath, [program, 'completion', shell], { cwd: project })).stdout

let script: Promise<string> | undefined

/** What bash would offer for a line that is being typed. */
async function offeredByBash(...words: readonly string[]): Promise<readonly string[]> {
  script ??= completion('bash')
  writeFileSync(path('completion'), await script)
  const type = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _systemvm_image; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = await execa('bash', ['-c', type, path('completion'), program, ...words], {
    cwd: project,
  })
  return stdout.split('\n')
}

describeWith(['bash'], 'completion in bash', () => {
  it('knows the verbs, and hides its own', async () => {
    expect(await offeredByBash('st')).toEqual(['store'])
    expect(await offeredByBash('')).toEqual(expect.arrayContaining(['build', 'plan', 'shell']))
    expect(await offeredByBash('_')).toEqual([''])
    expect(await offeredByBash('store', 'pr')).toEqual(['prune'])
  })

  it('knows the stages where a stage may stand', async () => {
    const both = ['configure_locale', 'configure_login']
    expect(await offeredByBash('build', '--from', 'configure_l')).toEqual(both)
    expect(await offeredByBash('shell', 'configure_l')).toEqual(both)
    expect(await offeredByBash('shell', 'ba')).toEqual(['base'])
    expect(await offeredByBash('diff', 'configure_l')).toEqual(both)
    expect(await offeredByBash('diff', 'base', 'configure_l')).toEqual(both)
  })

  it('knows the stages of the pipeline that is named', async () => {
    const tiny = ['--pipeline', 'test/fixtures/tiny/pipeline.ts']
    expect(await offeredByBash('build', ...tiny, '--until', '')).toEqual(['greet', 'unpack', 'misbehave'])
  })

  it('knows options, their choices, and variants', async () => {
    expect(await offeredByBash('build', '--acc')).toEqual(['--accelerator'])
    expect(await offeredByBash('build', '--accelerator', '')).toEqual(['kvm', 'tcg'])
    expect(await offeredByBash('plan', '--variant', 'book')).toEqual([
      'bookworm-x86_64',
      'bookworm-x86_64-uefi',
      'bookworm-aarch64',
    ])
  })

  it('is silent about a pipeline that has a fault', async () => {
    writeFileSync(path('broken.ts'), 'export default {')
    expect(await offeredByBash('build', '--pipeline', path('broken.ts'), '--from', '')).toEqual([''])
  })
})

describe('completion', () => {
  it.each(['zsh', 'fish'])('is there for %s', async (shell) => {
    expect(await completion(shell)).toContain('__complete')
  })
})
