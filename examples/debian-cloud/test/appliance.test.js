// The appliance without building it: what the plan says, and whether its scripts are shell.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const out = mkdtempSync(join(tmpdir(), 'appliance-'))
after(() => rmSync(out, { recursive: true, force: true }))

/**
 * The layers of the first variant.
 * @param {readonly string[]} options
 * @returns {{ name: string, key: string }[]}
 */
function plan(...options) {
  // Without --no, npx would download a package of that name, whoever has published it.
  const words = ['--no', 'systemvm-image', 'plan', '--json', '--out', out, ...options]
  return JSON.parse(execFileSync('npx', words, { encoding: 'utf8' }))[0].layers
}

test('the plan has every stage, and cleans up after all that write', () => {
  const names = plan().map(({ name }) => name)
  assert.equal(names[0], 'base')
  assert.deepEqual(names.slice(names.indexOf('install_guest_agent'), names.indexOf('zerodisk') + 1), [
    'install_guest_agent',
    'configure_cloud_init',
    'cleanup',
    'zerodisk',
  ])
})

test('a setting changes its stage and those after it, and none before', () => {
  const changed = plan('--set', 'stages.install_guest_agent.refused=[guest-exec]')
  const before = plan()
  const same = before.filter(({ key }, index) => key === changed[index]?.key).map(({ name }) => name)
  assert.deepEqual(same, ['base', 'apt_upgrade', 'configure_grub'])
})

test('a site may override values in YAML', () => {
  assert.ok(plan('--config', 'site.yaml').length > 0)
})

for (const name of readdirSync('stages').filter((name) => name.endsWith('.sh')))
  test(`${name} is shell`, () => {
    execFileSync('sh', ['-n', join('stages', name)])
  })
