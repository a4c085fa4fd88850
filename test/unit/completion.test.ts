import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../support/folder.ts'
import { describeWith } from '../support/tools.ts'

const path = useFolder()
const project = fileURLToPath(new URL('../../', import.meta.url))
const program = 'bin/systemvm-image.js'

/** What bash would offer for a line that is being typed. */
function offeredByBash(...words: readonly string[]): readonly string[] {
  const script = execFileSync(process.execPath, [program, 'completion', 'bash'], { cwd: project })
  writeFileSync(path('completion'), script)
  const type = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _systemvm_image; printf '%s\\n' "\${COMPREPLY[@]}"`
  const out = execFileSync('bash', ['-c', type, path('completion'), program, ...words], {
    cwd: project,
    encoding: 'utf8',
  })
  return out.trim().split('\n')
}

describeWith(['bash'], 'completion in bash', () => {
  it('knows the verbs, and shows nobody its own', () => {
    expect(offeredByBash('st')).toEqual(['store'])
    expect(offeredByBash('')).toEqual(expect.arrayContaining(['build', 'plan', 'shell']))
    expect(offeredByBash('_')).toEqual([''])
    expect(offeredByBash('store', 'p')).toEqual(['prune'])
  })

  it('knows the stages where a stage may stand', () => {
    const both = ['configure_locale', 'configure_login']
    expect(offeredByBash('build', '--from', 'configure_l')).toEqual(both)
    expect(offeredByBash('shell', 'configure_l')).toEqual(both)
    expect(offeredByBash('shell', 'ba')).toEqual(['base'])
  })

  it('knows the stages of the pipeline that is named', () => {
    const tiny = ['--pipeline', 'test/fixtures/tiny/pipeline.ts']
    expect(offeredByBash('build', ...tiny, '--until', '')).toEqual(['greet', 'unpack', 'misbehave'])
  })

  it('knows options, their choices, and variants', () => {
    expect(offeredByBash('build', '--acc')).toEqual(['--accelerator'])
    expect(offeredByBash('build', '--accelerator', '')).toEqual(['kvm', 'tcg'])
    expect(offeredByBash('plan', '--variant', 'book')).toEqual(['bookworm-x86_64'])
  })

  it('is silent about a pipeline that has a fault', () => {
    writeFileSync(path('broken.ts'), 'export default {')
    expect(offeredByBash('build', '--pipeline', path('broken.ts'), '--from', '')).toEqual([''])
  })
})

describe('completion', () => {
  it('is for the shells it was made for', () => {
    for (const shell of ['zsh', 'fish']) {
      const script = execFileSync(process.execPath, [program, 'completion', shell], {
        cwd: project,
        encoding: 'utf8',
      })
      expect(script, shell).toContain('__complete')
    }
  })
})
