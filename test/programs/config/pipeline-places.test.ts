/** Faults of a pipeline.ts as the program shows them, from compiled code back to the source. */

import { execFile } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'

const project = fileURLToPath(new URL('../../../', import.meta.url))
const path = useFolder()

/** What the program says of the example's pipeline after a change. */
function complaint(from: string, to: string): Promise<string> {
  cpSync(join(project, 'examples/debian-cloud'), path('appliance'), { recursive: true })
  const file = path('appliance/pipeline.ts')
  const text = readFileSync(file, 'utf8')
  expect(text).toContain(from)
  writeFileSync(file, text.replace(from, to))
  const words = [join(project, 'bin/systemvm-image.js'), 'plan', '--pipeline', file, '--out', path('out')]
  return new Promise((resolve) => {
    execFile(process.execPath, words, (_error, _stdout, stderr) => resolve(stderr))
  })
}

const place = (line: RegExp, marks: string) =>
  new RegExp(`appliance/pipeline\\.ts:\\d+:\\d+\\n${line.source}\\n *${marks.replaceAll('^', '\\^')}\\n`)

describe('a fault in pipeline.ts', () => {
  it.each([
    ['a field', "hostname: 'debian'", "hostname: 'De bian'", / *hostname: 'De bian',/, '^^^^^^^^^'],
    ['one below another', 'sizeMiB: 2520', 'sizeMiB: 2521', / *sizeMiB: 2521,/, '^^^^'],
    ['one that is missing', "  domain: 'example.org',\n", '', /.*definePipeline\(\{/, '^^^^^^^^^^^^^^'],
    [
      'a setting of a stage',
      'install_guest_agent()',
      "install_guest_agent({ refused: ['guest-exec', 'exec'] })",
      /.*install_guest_agent\(\{.*/,
      '^^^^^^',
    ],
    ['what is no TypeScript', "release: '1.0'", "release = '1.0'", / *release = '1\.0',/, '^'],
    [
      'what throws',
      "release: '1.0'",
      'release: undefined.toString()',
      / *release: undefined\.toString.*/,
      '^^^^^^^^',
    ],
  ])('is shown at %s', async (_what, from, to, line, marks) => {
    expect(await complaint(from, to)).toMatch(place(line, marks))
  })
})

it('a trace names sources of the program and of the pipeline, not what they were compiled to', async () => {
  const use = 'install_guest_agent()'
  const broken = `{ ...${use}, spec: { ...${use}.spec, packages: () => { throw new RangeError('mine') } } }`
  const said = await complaint(use, broken)
  expect(said).toMatch(/RangeError: mine\n.*\/appliance\/pipeline\.ts:\d+:\d+/)
  expect(said).toMatch(/ at resolveStage \(\/.*\/src\/config\/resolve-stage\.ts:\d+:\d+\)\n/)
  expect(said).not.toContain('.compiled')
})
