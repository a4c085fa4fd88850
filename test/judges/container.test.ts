/** The Containerfile and the settings for editors, read by programs of others. */

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { containerfile } from '../support/containerfile.ts'
import { useFolder } from '../support/folder.ts'
import { describeJudge, hasProgram } from './judges.ts'

const path = useFolder()

describeJudge('dockerfilelint', { dockerfilelint: hasProgram('dockerfilelint') }, () => {
  const judge = (text: string) => {
    writeFileSync(path('Containerfile'), text)
    const { stdout } = spawnSync('dockerfilelint', ['-j', path('Containerfile')], { encoding: 'utf8' })
    return JSON.parse(stdout) as { totalIssues: number }
  }

  it('has nothing to say about the Containerfile', () => {
    expect(judge(readFileSync(containerfile, 'utf8')).totalIssues).toBe(0)
  })

  it('finds a misspelled instruction, and a base without a tag', () => {
    expect(judge('FROM debian\nRUM true\n').totalIssues).toBeGreaterThan(1)
  })
})

describeJudge('the tool of development containers', { devcontainer: hasProgram('devcontainer') }, () => {
  it('reads the settings, and finds the Containerfile by them', () => {
    const clone = join(containerfile, '..')
    cpSync(join(clone, '.devcontainer'), path('clone', '.devcontainer'), { recursive: true })
    mkdirSync(path('empty'))
    // It asks an engine which containers there are.
    const read = (folder: string) =>
      spawnSync(
        'devcontainer',
        ['read-configuration', '--workspace-folder', folder, '--docker-path', 'true'],
        {
          encoding: 'utf8',
        },
      )
    const { status, stdout } = read(path('clone'))
    expect(status).toBe(0)
    const { configuration } = JSON.parse(stdout)
    expect(join(path('clone', '.devcontainer'), configuration.build.dockerfile)).toBe(
      path('clone', 'Containerfile'),
    )
    expect(configuration.capAdd).toEqual(['SYS_ADMIN'])
    expect(read(path('empty')).status).not.toBe(0)
  })
})
