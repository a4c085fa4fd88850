/** The example that `init` grows from: small, and with scripts like those of our own stages. */

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { describeWith } from '../../support/tools.ts'

const example = fileURLToPath(new URL('../../../examples/debian-cloud/', import.meta.url))
const read = (path: string) => readFileSync(join(example, path), 'utf8')
const scripts = readdirSync(join(example, 'stages')).filter((name) => name.endsWith('.sh'))

describe('the example', () => {
  it('has a pipeline of at most 60 lines, and two stages', () => {
    expect(read('pipeline.ts').split('\n').length).toBeLessThanOrEqual(60)
    expect(scripts).toHaveLength(2)
  })

  it('takes the program from the tarball that `npm pack` makes here, and never from a registry', () => {
    const { version } = JSON.parse(readFileSync(join(example, '../../package.json'), 'utf8'))
    const tarball = `systemvm-image-${version}.tgz`
    expect(JSON.parse(read('package.json')).devDependencies['systemvm-image']).toBe(`file:../../${tarball}`)
    expect(readFileSync(join(example, '../../docs/package.md'), 'utf8')).toContain(
      `npm install ./${tarball}\n`,
    )
    expect(read('test/appliance.test.js')).toContain("'--no', 'systemvm-image'")
  })

  it.each(scripts)('says in the head of %s what it uses and leaves', (name) => {
    const [, title = '', uses = ''] = read(`stages/${name}`).split('\n')
    const declaration = read(`stages/${name.replace('.sh', '.ts')}`)
    const [, summary] = /summary: '(.*)',/.exec(declaration) ?? []
    expect(title).toBe(`# ${name}: ${summary}.`)
    expect(uses).toMatch(/^# uses: .* {4}leaves: .*$/)
    const demanded = [...read(`stages/${name}`).matchAll(/"\$\{([A-Z_]+):?\?\}"/g)].map(
      ([, variable]) => variable,
    )
    for (const variable of demanded) expect(declaration).toContain(`${variable}:`)
  })
})

describeWith(['shellcheck'], 'the scripts of the example', () => {
  it.each(scripts)('%s satisfies shellcheck', (name) => {
    expect(execFileSync('shellcheck', [join(example, 'stages', name)], { encoding: 'utf8' })).toBe('')
  })
})
