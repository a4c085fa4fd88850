/**
 * The steps of the Containerfile, in a tree that mmdebstrap makes of the same Debian: it needs no container engine. The mirror
 * is `DEBIAN_MIRROR`, since the archive that the file names is not reached from everywhere.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { quote } from '../../src/host/shell-words.ts'
import { readSteps } from '../support/containerfile.ts'
import { useFolder } from '../support/folder.ts'
import { describeWith } from '../support/tools.ts'

const path = useFolder()
const { DEBIAN_MIRROR: mirror = 'http://deb.debian.org/debian' } = process.env
const { DEBIAN_SECURITY_MIRROR: security = 'http://deb.debian.org/debian-security' } = process.env
const clone = new URL('../..', import.meta.url).pathname

/** As a container has it, which inherits nothing from its host but the way to the network. */
const environment = Object.entries({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  MIRROR: mirror,
  SECURITY: security,
  http_proxy: process.env.http_proxy,
  https_proxy: process.env.https_proxy,
  npm_config_registry: process.env.npm_config_registry,
}).flatMap(([name, value]) => (value === undefined ? [] : [quote(`${name}=${value}`)]))

/** Runs commands in the tree that a hook of mmdebstrap gets as `$1`. */
const inTree = (commands: string) =>
  `chroot "$1" env -i ${environment.join(' ')} sh -c ${quote(commands)} </dev/null`

describeWith(['mmdebstrap', 'git'], 'a container', () => {
  it('has all that the program needs after the steps of its file, and an image can be built there', () => {
    const files = path('clone.tar')
    execFileSync('git', ['-C', clone, 'archive', '--output', files, 'HEAD'])
    const steps = readSteps()
    expect(steps.length).toBeGreaterThan(0)
    const checks = [
      './setup.sh',
      'node bin/systemvm-image.js plan',
      // With mmdebstrap inside, and with a guest, where there is no /dev/kvm.
      'node bin/systemvm-image.js build --pipeline test/fixtures/tiny/pipeline.ts --no-verify',
    ]
    const hook = [
      'set -eux',
      ...steps.map(inTree),
      'mkdir "$1/work"',
      `tar -x -C "$1/work" -f ${quote(files)}`,
      ...checks.map((check) => inTree(`cd /work && ${check}`)),
      'echo "every step is done"',
    ]
    writeFileSync(path('hook.sh'), `${hook.join('\n')}\n`)
    for (const file of [files, path('hook.sh')]) chmodSync(file, 0o644)
    chmodSync(path(), 0o755)
    const words = [
      '--mode=unshare',
      '--variant=minbase',
      `--customize-hook=sh ${quote(path('hook.sh'))} "$1"`,
    ]
    const { status, stdout, stderr } = spawnSync(
      'mmdebstrap',
      [...words, 'bookworm', '/dev/null', `deb ${mirror} bookworm main`],
      { encoding: 'utf8', maxBuffer: 2 ** 28 },
    )
    const said = `${stdout}\n${stderr}`
    expect(status, said.slice(-4000)).toBe(0)
    expect(said).toContain('every package is installed: nothing to do')
    expect(said).toContain('every step is done')
  })
})
