/**
 * The rendered files of every variant, as committed beside this test, and what the tools that read them say of them.
 * After a change that is meant, `vitest run test/golden -u` writes them anew.
 */

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest'
import pipeline from '../../pipeline.ts'
import { resolvePipeline } from '../../src/config/resolve.ts'
import { findProgram, isAtLeast } from '../../src/host/tools.ts'
import { renderFiles } from '../../src/make/render-files.ts'
import type { PackerDialect } from '../../src/packer/template.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))
const here = fileURLToPath(new URL('./', import.meta.url))
const { images } = await resolvePipeline(pipeline)

const dialects: readonly PackerDialect[] = ['1.6', '1.7']
const templates = ['build.pkr.hcl', 'installer.pkr.hcl'] as const
const templateFile = (variant: string, dialect: PackerDialect, name: (typeof templates)[number]) =>
  join(here, variant, `packer-${dialect}`, name)
const eachTemplate = dialects.flatMap((dialect) => templates.map((name) => ({ dialect, name })))
const preseedFile = (variant: string) => join(here, variant, 'preseed.cfg')

describe.each(images)('$variant', (image) => {
  it.for(dialects)('renders what is committed for Packer %s', async (dialect) => {
    const files = renderFiles(image, dialect)
    expect(Object.keys(files)).toEqual([...templates, 'preseed.cfg'])
    for (const name of templates) {
      await expect(files[name]).toMatchFileSnapshot(templateFile(image.variant, dialect, name))
    }
    await expect(files['preseed.cfg']).toMatchFileSnapshot(preseedFile(image.variant))
  })

  it.for(eachTemplate)(
    'has a $name for Packer $dialect as packer fmt would write it',
    async ({ dialect, name }, context) => {
      const packer = await requirePacker(context)
      const file = templateFile(image.variant, dialect, name)
      const outcome = await run(packer.path, ['fmt', '-check', '-diff', file])
      expect(outcome).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    },
  )

  it.for(templates)('has a %s that packer validate accepts', async (name, context) => {
    const packer = await requirePacker(context)
    await packer.requireQemu()
    const text = await readFile(templateFile(image.variant, packer.dialect, name), 'utf8')
    const outcome = await packer.validate(text)
    expect(outcome, outcome.stdout + outcome.stderr).toMatchObject({ exitCode: 0, stderr: '' })
  })

  it('has a preseed that debconf-set-selections accepts', async (context) => {
    const debconf = await requireProgram(context, 'debconf-set-selections')
    const outcome = await run(debconf, ['-c', preseedFile(image.variant)])
    // It exits with 0 even where it does not know a question's type, and says so on its error output.
    expect(outcome).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })
})

describe('the committed files', () => {
  it('are those of the variants and no others', async () => {
    const found = await Promise.all(
      (await readdir(here, { withFileTypes: true }))
        .filter((entry) => entry.isDirectory())
        .map(async ({ name }) => (await readdir(join(here, name))).map((file) => `${name}/${file}`)),
    )
    const wanted = images.flatMap(({ variant }) =>
      ['packer-1.6', 'packer-1.7', 'preseed.cfg'].map((file) => `${variant}/${file}`),
    )
    expect(found.flat().sort()).toEqual(wanted.sort())
  })
})

describe('a value that HCL would read as something else', () => {
  const script = 'scripts/a ${b} %{c} $${d} "e" \\f\b.sh'

  it('is written as a literal', () => {
    expect(renderHostile('1.6')).toContain(
      'script          = "scripts/a $${b} %%{c} $$${d} \\"e\\" \\\\f\\u0008.sh"',
    )
  })

  it('stays on the line of its comment', () => {
    expect(renderHostile('1.6')).toContain('  # build_time: a ${b} %{c} "d" \\ } # e\n  provisioner')
  })

  it('is read back by packer validate, which looks for a script of just that name', async (context) => {
    const packer = await requirePacker(context)
    await packer.requireQemu()
    const template = renderHostile(packer.dialect)
    const withoutScript = await packer.validate(template)
    expect(withoutScript.stdout + withoutScript.stderr).toContain(`Bad script '${script}'`)
    await mkdir(join(folder, 'scripts'))
    await writeFile(join(folder, script), '#!/bin/sh\n')
    const outcome = await packer.validate(template)
    expect(outcome, outcome.stdout + outcome.stderr).toMatchObject({ exitCode: 0, stderr: '' })
  })

  function renderHostile(dialect: PackerDialect): string {
    const [image] = images
    const [stage] = image?.stages ?? []
    if (image === undefined || stage === undefined) throw new Error('the pipeline has no stage')
    const hostile = { ...stage, script: join(project, script), summary: 'a ${b} %{c} "d" \\\n}\n# e' }
    return renderFiles({ ...image, stages: [hostile] }, dialect)['build.pkr.hcl'] ?? ''
  }
})

// --- the folder in which relative paths of a template are looked for ---

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'golden-'))
  await symlink(join(project, 'provisioners'), join(folder, 'provisioners'))
  await mkdir(join(folder, 'run'))
  await mkdir(join(folder, 'http'))
  await writeFile(join(folder, 'run/dummy.qcow2'), '')
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

// --- the tools ---

interface Outcome {
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
}

async function run(program: string, arguments_: readonly string[]): Promise<Outcome> {
  const { exitCode, stdout, stderr } = await execa(program, arguments_, {
    cwd: folder,
    reject: false,
    stdin: 'ignore',
    timeout: 30_000,
    env: { LC_ALL: 'C', CHECKPOINT_DISABLE: '1' },
  })
  return { exitCode, stdout, stderr }
}

/** A missing tool leaves a test out on a developer's machine, and fails it in CI. */
function lacks(context: TestContext, what: string): never {
  if (process.env.CI === 'true') throw new Error(`CI lacks ${what}`)
  // Skipped without the tool, which is the judge.
  context.skip(`needs ${what}`)
}

async function requireProgram(context: TestContext, name: string): Promise<string> {
  return (await findProgram(name)) ?? lacks(context, name)
}

interface Packer {
  readonly path: string
  readonly dialect: PackerDialect
  /** Leaves the test out where a modern Packer lacks its QEMU plugin. */
  readonly requireQemu: () => Promise<void>
  readonly validate: (template: string) => Promise<Outcome>
}

async function requirePacker(context: TestContext): Promise<Packer> {
  const path = await requireProgram(context, 'packer')
  const version = /\d+\.\d+\.\d+/.exec((await run(path, ['version'])).stdout)?.[0] ?? '0'
  const dialect = isAtLeast(version, '1.7') ? '1.7' : '1.6'
  return {
    path,
    dialect,
    requireQemu: async () => {
      if (dialect === '1.6') return
      const { stdout } = await run(path, ['plugins', 'installed'])
      if (!stdout.includes('packer-plugin-qemu')) lacks(context, `the QEMU plugin of Packer ${version}`)
    },
    validate: async (template) => {
      await writeFile(join(folder, 'build.pkr.hcl'), template)
      const keygen = await requireProgram(context, 'ssh-keygen')
      await rm(join(folder, 'run/key'), { force: true })
      const made = await run(keygen, ['-q', '-t', 'ed25519', '-N', '', '-f', 'run/key'])
      expect(made).toMatchObject({ exitCode: 0 })
      return run(path, ['validate', 'build.pkr.hcl'])
    },
  }
}
