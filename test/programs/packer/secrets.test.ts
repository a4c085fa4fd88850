/** What a stage must not print, and prints: judged by what Packer itself writes. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createScratchFolder } from '../../../src/host/scratch-folder.ts'
import { startPacker } from '../../../src/packer/process.ts'
import { secretsOf, secretVariables } from '../../../src/packer/secrets.ts'
import { type PackerView, renderPackerTemplate } from '../../../src/packer/template.ts'
import { conceal } from '../../../src/redact.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

const environment = {
  API_TOKEN: 'word, and another',
  DEPLOY_KEY: '-----BEGIN KEY-----\nc2VjcmV0\n-----END KEY-----',
  PROXY: 'http://user:hunter2@proxy.example.org',
  PIN: '12',
  COLOR: 'green',
}

describe('the secrets of stages', () => {
  it('are lines of what is secret by its name or as a URL, and are long enough to be told from other words', () => {
    expect(secretsOf([{ environment }, { environment }])).toEqual([
      'http://user:hunter2@proxy.example.org',
      '-----BEGIN KEY-----',
      'word, and another',
      '-----END KEY-----',
      'c2VjcmV0',
    ])
  })

  it('are known as shells quote them, too', () => {
    const secrets = secretsOf([{ environment: { TOKEN: "it's a word" } }])
    const shown = execFileSync('bash', ['-xc', ': "$TOKEN"; exec 2>&1; set -x; : "$TOKEN"'], {
      env: { ...process.env, TOKEN: "it's a word" },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    expect(shown).toContain('word')
    expect(conceal(shown, secrets)).not.toContain('word')
  })

  it('hide longer ones before those that are a part of them', () => {
    const [first] = secretsOf([{ environment: { TOKEN: 'abcd', OTHER_TOKEN: 'abcdefgh' } }])
    expect(first).toBe('abcdefgh')
  })

  it('are in no template', async () => {
    const [first, ...rest] = (await sampleImage(path())).stages
    const stages = [{ ...first, environment }, ...rest] as PackerView['stages']
    const text = renderPackerTemplate({ ...view, stages })
    expect(text).toContain('variable "secret_0" {')
    for (const secret of secretsOf(stages)) expect(text).not.toContain(secret)
  })
})

const view: Omit<PackerView, 'stages'> = {
  variant: 'sample',
  dialect: '1.6',
  dummyDisk: 'dummy.qcow2',
  dummyDigest: `sha256:${'0'.repeat(64)}`,
  outputFolder: 'output',
  machineName: 'sample',
  arch: 'x86_64',
  accelerator: 'tcg',
  machineArguments: [],
  privateKey: 'key',
  bootTimeoutSeconds: 90,
  checkpointCommand: () => 'true',
}

describeWith(['packer'], 'Packer', () => {
  it('shows no secret that a script prints, and its log has none', async () => {
    const secrets = secretsOf([{ environment }])
    const variables = Object.keys(secretVariables(secrets)).map(
      (name) => `variable "${name}" {\n  type = string\n  default = ""\n  sensitive = true\n}\n`,
    )
    writeFileSync(path('said.txt'), `${Object.values(environment).join('\n')}\n`)
    writeFileSync(
      path('build.pkr.hcl'),
      `${variables.join('')}source "null" "one" {\n  communicator = "none"\n}\n` +
        `build {\n  sources = ["source.null.one"]\n  provisioner "shell-local" {\n` +
        `    inline = ["cat ${path('said.txt')}"]\n  }\n}\n`,
    )
    mkdirSync(path('run'))
    const scratch = await createScratchFolder()
    const lines: string[] = []
    const { ended } = startPacker({
      template: path('build.pkr.hcl'),
      runFolder: { id: 'run', path: path('run'), outFolder: path() },
      scratch,
      debugLog: path('debug.log'),
      secrets,
      onLine: ({ text }) => lines.push(text),
    })
    expect((await ended).exitCode).toBe(0)
    await scratch.remove()
    const written = [lines.join('\n'), readFileSync(path('debug.log'), 'utf8')]
    for (const text of written) {
      expect(text).toContain('green')
      for (const secret of secrets) expect(text).not.toContain(secret)
      expect(text).not.toContain('another')
    }
  })
})
