/** The workflows as texts: by GitHub's own schema, by actionlint where it is there, and by what this house asks of them. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'
import {
  type Action,
  evaluate,
  fill,
  type Job,
  readYaml,
  type Step,
  type Workflow,
} from '../../support/workflow-files.ts'

const project = fileURLToPath(new URL('../../../', import.meta.url))
const folder = join(project, '.github', 'workflows')
const files = readdirSync(folder)
const workflow = (name: string) => readYaml<Workflow>(join(folder, name))
const action = readYaml<Action>(join(project, 'action.yml'))
const jobsOf = (name: string): readonly (readonly [string, Job])[] => Object.entries(workflow(name).jobs)
const stepsOf = (name: string): readonly Step[] => jobsOf(name).flatMap(([, { steps = [] }]) => steps)

const hasActionlint = spawnSync('actionlint', ['--version']).error === undefined

/** What `init` gives to others. */
const ofExample = '../../examples/debian-cloud/.github/workflows/build.yml'

describe.each([...files, ofExample])('%s', (name) => {
  it('is a workflow by GitHub’s schema', () => {
    const content = readFileSync(join(folder, name), 'utf8')
    const { context } = parseWorkflow({ name, content }, new NoOperationTraceWriter())
    expect(context.errors.getErrors().map((error: Error) => error.message)).toEqual([])
  })

  // Skipped where actionlint, the judge, is not there.
  it.skipIf(!hasActionlint)(
    'is one by actionlint, its scripts by shellcheck (skipped where that is missing)',
    () => {
      const { status, stdout, stderr } = spawnSync('actionlint', ['-no-color', join(folder, name)], {
        encoding: 'utf8',
      })
      expect(stdout + stderr).toBe('')
      expect(status).toBe(0)
    },
  )

  it('takes actions by commit, with the version beside it', () => {
    const lines = readFileSync(join(folder, name), 'utf8').match(/uses: .*/g) ?? []
    for (const line of lines)
      expect(line).toMatch(/^uses: (\.\/[\w./-]*|[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/)
  })

  it('may do only what it says, job by job where it is more than reading', () => {
    const { permissions = {}, jobs } = workflow(name)
    expect(Object.values(permissions).every((value) => value === 'read')).toBe(true)
    for (const [job, { permissions: own = {} }] of Object.entries(jobs)) {
      const written = Object.keys(own).filter((scope) => own[scope] === 'write')
      expect(written, job).toEqual(writable[`${name} ${job}`] ?? [])
    }
  })

  it('ends at some time, and not twice at once', () => {
    expect(workflow(name).concurrency).toBeDefined()
    for (const [job, one] of jobsOf(name)) {
      if (one.uses === undefined) expect(one['timeout-minutes'], job).toBeGreaterThan(0)
    }
  })

  it('leaves no login where a checkout is, and puts no expression into a script', () => {
    for (const step of stepsOf(name)) {
      if (step.uses?.startsWith('actions/checkout@')) expect(step.with?.['persist-credentials']).toBe(false)
      expect(step.run ?? '').not.toContain('${{')
    }
  })
})

/** `trust.test.ts` says why these and no others. */
const writable: Readonly<Record<string, readonly string[]>> = {
  'layers.yml push': ['packages'],
  'make-release.yml attest': ['id-token', 'attestations'],
  'release.yml make': ['id-token', 'attestations'],
  'release.yml publish': ['contents'],
}

describe('action.yml', () => {
  it('puts no expression into a script, and each has its shell', () => {
    for (const { run = '', shell } of action.runs.steps) {
      expect(run).not.toContain('${{')
      expect(shell).toBe('bash')
    }
  })

  it('has scripts that shellcheck finds nothing in', () => {
    for (const { run = '', name } of action.runs.steps) {
      const { stdout, error } = spawnSync('shellcheck', ['--shell=bash', '-'], {
        input: `set -eo pipefail\n${run}`,
        encoding: 'utf8',
      })
      if (error !== undefined && process.env.CI !== 'true') return
      expect(stdout, name).toBe('')
    }
  })

  it('is given no input that it does not have', () => {
    for (const { with: given = {} } of stepsOf('build.yml').filter(({ uses }) => uses === './'))
      for (const name of Object.keys(given)) expect(Object.keys(action.inputs)).toContain(name)
  })
})

describe('an input of the action', () => {
  const path = useFolder()

  it.each(['Pull layers', 'Build', 'Verify', 'Summarize'])(
    'is one word, however many lines it has: %s',
    (step) => {
      const record = `#!/bin/sh\nprintf '%s\\0' "$@" >'${path('words')}'\n`
      writeFileSync(path('node'), record, { mode: 0o755 })
      writeFileSync(path('skopeo'), '#!/bin/sh\n', { mode: 0o755 })
      const env = {
        PATH: `${path()}:${process.env.PATH}`,
        RUNNER_TEMP: path(),
        GITHUB_ACTION_PATH: '/action',
        GITHUB_STEP_SUMMARY: path('summary'),
        VARIANT: 'trixie-x86_64\n--config\nother.yaml',
        OUT: 'out\n--unsigned',
        REGISTRY: 'registry.example/layers',
        SIGNERS: 'keys',
      }
      for (const name of ['Choose', step]) {
        const { run = '' } = action.runs.steps.find((one) => one.name === name) ?? {}
        expect(spawnSync('bash', ['-eo', 'pipefail', '-c', run], { env }).status, name).toBe(0)
      }
      const words = readFileSync(path('words'), 'utf8').split('\0')
      expect(words).toEqual(expect.arrayContaining(['--variant', env.VARIANT, '--out', env.OUT]))
      expect(words).not.toContain('--config')
    },
  )
})

describe('the build of the action', () => {
  const path = useFolder()
  const { run = '' } = action.runs.steps.find(({ name }) => name === 'Build') as Step

  /** With a program that says something and fails, so many times. */
  function build(said: string, failures: number) {
    mkdirSync(path('bin'))
    const program = `echo call >>'${path('calls')}'
[ "$(wc -l <'${path('calls')}')" -gt ${failures} ] || { echo '${said}' >&2; exit 3; }`
    for (const [name, script] of Object.entries({ node: program, sleep: 'exit 0' }))
      writeFileSync(path('bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    writeFileSync(path('systemvm-image.options'), '--variant\0trixie-x86_64\0')
    const env = {
      PATH: `${path('bin')}:${process.env.PATH}`,
      RUNNER_TEMP: path(),
      GITHUB_ACTION_PATH: '/action',
      LOCKED: 'false',
    }
    const { status } = spawnSync('bash', ['-eo', 'pipefail', '-c', run], { env, encoding: 'utf8' })
    return { status, calls: readFileSync(path('calls'), 'utf8').split('\n').length - 1 }
  }

  it.each([
    ['runs once where it goes well', '', 0, { status: 0, calls: 1 }],
    [
      'is tried again where a mirror cannot be reached',
      '✖ cannot reach deb.debian.org for …',
      1,
      { status: 0, calls: 2 },
    ],
    ['is tried no more than once again', '✖ cannot reach deb.debian.org for …', 5, { status: 3, calls: 2 }],
    ['is not tried again for anything else', '✖ stage cleanup failed', 1, { status: 1, calls: 1 }],
  ])('%s', (_case, said, failures, expected) => {
    expect(build(said, failures)).toEqual(expected)
  })
})

describe('what build.yml compares with', () => {
  const [, { steps = [] }] = jobsOf('build.yml').find(([name]) => name === 'matrix') as readonly [string, Job]
  const since = steps.find(({ id }) => id === 'choose')?.env?.SINCE as string
  it.each([
    [
      'the base of a pull request',
      { event_name: 'pull_request', ref_type: 'branch', event: { pull_request: { base: { sha: 'aaa' } } } },
      'aaa',
    ],
    ['the commit before a push', { event_name: 'push', ref_type: 'branch', event: { before: 'bbb' } }, 'bbb'],
    ['nothing on a tag', { event_name: 'push', ref_type: 'tag', event: { before: '000' } }, ''],
    ['nothing when it is asked for', { event_name: 'workflow_dispatch', ref_type: 'branch', event: {} }, ''],
  ])('is %s', (_case, github, expected) => {
    expect(fill(since, { github })).toBe(expected)
  })
})

describe('images', () => {
  const built = stepsOf('build.yml').find(({ uses }) => uses === './')?.with?.verify
  const called = workflow('make-release.yml').jobs.images?.with?.verify
  it.each([
    ['are verified on a push, which has no inputs', built, {}, 'true'],
    ['are verified unless the caller says that they are not', built, { verify: 'false' }, 'false'],
    ['are verified for a release', called, {}, 'true'],
    ['are not for one that may be unverified', called, { allow: 'dirty unverified' }, 'false'],
  ])('%s', (_case, expression, inputs, expected) => {
    expect(fill(expression, { inputs })).toBe(expected)
  })
})

describe('an expression', () => {
  it.each([
    ["inputs.a || 'b'", 'b'],
    ['fromJSON(inputs.list)[1]', 2],
    ["!contains(inputs.allow, 'x')", true],
  ])('%s is evaluated as GitHub does', (expression, expected) => {
    expect(evaluate(expression, { inputs: { list: '[1, 2]', allow: null } })).toEqual(expected)
  })
})
