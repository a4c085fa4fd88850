import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { hclString, renderPackerTemplate } from '../../../src/packer/template.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

const texts = [
  'plain',
  'with "quotes", \'others\' and a \\ backslash',
  '${interpolated} and $${not} and $$${both}',
  '%{if true}yes%{endif} and 100%',
  '$ alone, % alone, { alone }, a $ at the end: $',
  '{{ .Path }}',
  'tab\tand é, ü, 中, 🚀',
]

describeWith(['packer'], 'a text as HCL, judged by Packer', () => {
  it('is read back as it was', () => {
    writeFileSync(path('empty.pkr.hcl'), '')
    const read = execFileSync('packer', ['console', path('empty.pkr.hcl')], {
      input: texts.map((text) => `${hclString(text)}\n`).join(''),
      encoding: 'utf8',
      env: { ...process.env, CHECKPOINT_DISABLE: '1', PACKER_CACHE_DIR: path('cache') },
    })
    expect(read.trimEnd().split('\n')).toEqual(texts)
  })
})

describe('the Packer template', () => {
  const render = async (dialect: '1.6' | '1.7') => {
    const image = await sampleImage(path())
    return renderPackerTemplate({
      variant: image.variant,
      dialect,
      dummyDisk: '/tmp/a "b"/dummy.qcow2',
      dummyDigest: `sha256:${'0'.repeat(64)}`,
      outputFolder: '/tmp/output',
      machineName: image.name,
      arch: 'x86_64',
      accelerator: 'tcg',
      machineArguments: [['-nodefaults'], ['-netdev', 'hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22']],
      privateKey: '/tmp/${key}',
      bootTimeoutSeconds: 90,
      stages: image.stages,
      checkpointCommand: (stage) => `seal ${stage}`,
    })
  }

  it('runs every stage in order, and seals each but the last', async () => {
    const text = await render('1.6')
    const steps = [...text.matchAll(/stage\.sh (\w+)|seal (\w+)/g)].map(([step]) => step)
    expect(steps).toEqual([
      'stage.sh first',
      'seal first',
      'stage.sh second',
      'seal second',
      'stage.sh third',
    ])
  })

  it("keeps Packer's own placeholders, and lets no path be taken for code", async () => {
    const text = await render('1.6')
    expect(text).toContain('{{ .SSHHostPort }}')
    expect(text).toContain('{{ .Path }}')
    expect(text).toContain('"/tmp/$${key}"')
    expect(text).toContain('"/tmp/a \\"b\\"/dummy.qcow2"')
    expect(text).not.toMatch(/&(quot|amp|#)/)
  })

  it('names the plugin for Packer 1.7, and does not for 1.6, which has it built in', async () => {
    expect(await render('1.7')).toContain('required_plugins')
    expect(await render('1.6')).not.toContain('required_plugins')
  })

  it('has the time limits of the guest and of its stages', async () => {
    const text = await render('1.6')
    // Ten times the build's own limits, which count the guest's time: on a busy host that is as long as they can take.
    expect(text).toMatch(/ssh_timeout\s+= "900s"/)
    // And a minute more, so that the build's own is the one that says what happened.
    expect(text.match(/timeout\s+= "9060s"/g)).toHaveLength(3)
  })
})
