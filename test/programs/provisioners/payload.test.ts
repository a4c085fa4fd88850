/** The payload's programs, by their own tests: `test/payload/test_*.py`, which know nothing of this program. */

import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../../', import.meta.url))
const payload = `${root}provisioners/payload`
// Python would leave what it compiles among the sources, and the payload's digest is of all files.
const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' }

const files = (readdirSync(payload, { recursive: true }) as string[]).filter((path) =>
  statSync(`${payload}/${path}`).isFile(),
)
const textOf = (path: string) => readFileSync(`${payload}/${path}`, 'utf8')

describeWith(['python3'], 'the programs of the payload', () => {
  const suites = readdirSync(`${root}test/payload`).filter((name) => name.startsWith('test_'))
  it.each(suites)('%s', async (suite) => {
    const words = ['-W', 'error', '-m', 'unittest', suite.replace('.py', '')]
    const { stderr } = await run('python3', words, { cwd: `${root}test/payload`, env })
    expect(stderr).toMatch(/^Ran \d+ tests/m)
  })

  it('leave nothing that they compiled', () => {
    expect(files.filter((path) => path.includes('__pycache__'))).toEqual([])
  })

  it('explain how the program of the boot is called', async () => {
    const called = run('python3', ['-BIS', `${payload}/opt/cloud/bin/systemvm-boot`, 'nonsense'], { env })
    await expect(called).rejects.toMatchObject({
      code: 2,
      stderr: 'usage: systemvm-boot preinit|early-config|patch|postinit\n',
    })
  })
})

describe('get_template_version.sh', () => {
  const path = useFolder()
  const ask = (waitSeconds: number) =>
    run('sh', [`${payload}/opt/cloud/bin/get_template_version.sh`], {
      env: { ...env, SYSTEMVM_ROOT: path(), WAIT_SECONDS: `${waitSeconds}` },
    })
  const lay = (...files: readonly (readonly [string, string])[]) => {
    for (const [name, text] of files) {
      mkdirSync(path(dirname(name)), { recursive: true })
      writeFileSync(path(name), text)
    }
  }
  const release = ['etc/cloudstack-release', 'Cloudstack Release 4.22.0 Sun Nov  1 2026\n'] as const
  const signature = ['var/cache/cloud/cloud-scripts-signature', '0123abcd\n'] as const
  const done = ['var/cache/cloud/boot_up_done', ''] as const

  it('prints the release and the signature of a machine that is up', async () => {
    lay(release, signature, done)
    expect((await ask(0)).stdout).toBe('Cloudstack Release 4.22.0 Sun Nov  1 2026&0123abcd\n')
  })

  it('waits for the machine to be up', async () => {
    lay(release, signature)
    const asked = ask(20)
    lay(done)
    expect((await asked).stdout).toContain('&0123abcd')
  })

  it('fails when the machine does not come up', async () => {
    lay(release, signature)
    await expect(ask(0)).rejects.toMatchObject({ code: 1, stdout: '' })
  })

  it('fails without a signature', async () => {
    lay(release, [signature[0], ''], done)
    await expect(ask(0)).rejects.toMatchObject({ code: 1, stdout: '' })
  })
})

describeWith(['shellcheck'], 'the scripts of the payload', () => {
  const scripts = files.filter((path) => textOf(path).startsWith('#!/bin/sh'))
  it.each(scripts)('%s satisfies shellcheck', async (path) => {
    await run('shellcheck', [`${payload}/${path}`])
  })
})

describeWith([], 'the files of the payload', () => {
  it('can be run where they are programs, and nowhere else', () => {
    for (const path of files) {
      const isProgram = textOf(path).startsWith('#!')
      expect(Boolean(statSync(`${payload}/${path}`).mode & 0o100), path).toBe(isProgram)
    }
  })

  it('have rules for every role', () => {
    const rules = files.filter((path) => path.startsWith('etc/iptables/iptables-'))
    const names = rules.map((path) => path.replace('etc/iptables/iptables-', '')).sort()
    expect(names).toEqual([
      'consoleproxy',
      'default',
      'dhcpsrvr',
      'elbvm',
      'ilbvm',
      'router',
      'secstorage',
      'vpcrouter',
    ])
  })
})
