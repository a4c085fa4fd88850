/** What workflows may do: nothing that runs a stranger's code can write, log in, or sign. */

import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Action, fill, type Job, readYaml, type Workflow } from '../../support/workflow-files.ts'

const project = fileURLToPath(new URL('../../../', import.meta.url))
const folder = join(project, '.github', 'workflows')
const files = readdirSync(folder)
const workflow = (file: string) => readYaml<Workflow>(join(folder, file))

interface Found {
  readonly file: string
  readonly name: string
  readonly job: Job
  /** What its token may do: its own permissions, else those of its workflow. */
  readonly permissions: Readonly<Record<string, string>>
}

/** The jobs of a workflow and of those that it calls. */
function jobsFrom(file: string): readonly Found[] {
  const { jobs, permissions: common } = workflow(file)
  return Object.entries(jobs).flatMap(([name, job]) => {
    const own = { file, name, job, permissions: job.permissions ?? common ?? { all: 'write' } }
    return job.uses?.startsWith('./') ? [own, ...jobsFrom(basename(job.uses))] : [own]
  })
}

const startedBy = (event: string) => files.filter((file) => event in workflow(file).on)
const writesOf = ({ permissions }: Found) =>
  Object.keys(permissions).filter((scope) => permissions[scope] === 'write')
const runsCode = ({ job }: Found) =>
  job.steps?.some(({ uses = '' }) => uses === './' || uses.startsWith('actions/checkout@')) ?? false
const textOf = ({ job }: Found) => JSON.stringify(job)

describe('a pull request', () => {
  const reachable = startedBy('pull_request').flatMap(jobsFrom)

  it('starts jobs', () => {
    expect(reachable.map(({ file, name }) => `${file} ${name}`)).toContain('build.yml build')
  })

  it.each(reachable.map((found) => [found.file, found.name, found] as const))(
    'starts %s %s, which cannot write, has no secret and logs in nowhere',
    (_file, _name, found) => {
      expect(writesOf(found)).toEqual([])
      expect(textOf(found)).not.toMatch(/secrets\.|"secrets":|\blogin\b|store push/)
    },
  )

  it('starts nothing in the name of the repository that it is made to', () => {
    for (const event of ['pull_request_target', 'workflow_run', 'issue_comment', 'pull_request_review'])
      expect(startedBy(event), event).toEqual([])
  })

  it('starts an action that logs in nowhere and pushes nothing', () => {
    const { runs, inputs } = readYaml<Action>(join(project, 'action.yml'))
    expect(JSON.stringify(runs)).not.toMatch(/secrets\.|\blogin\b|store push|--unsigned/)
    expect(Object.keys(inputs)).not.toContain('push')
  })
})

const all = files.flatMap((file) =>
  Object.entries(workflow(file).jobs).map(
    ([name, job]): Found => ({
      file,
      name,
      job,
      permissions: job.permissions ?? workflow(file).permissions ?? {},
    }),
  ),
)

describe('layers', () => {
  it('are pushed only by a job of main, with a signature', () => {
    const pushing = all.filter((found) => /store push/.test(textOf(found)))
    expect(pushing.map(({ file, name }) => `${file} ${name}`)).toEqual(['layers.yml push'])
    expect(workflow('layers.yml').on).toEqual({ push: { branches: ['main'] } })
    for (const found of pushing) expect(textOf(found)).toMatch(/--sign /)
    expect(files.map((file) => readFileSync(join(folder, file), 'utf8')).join()).not.toContain('--unsigned')
  })

  it('may be written where they are pushed, and nowhere else', () => {
    const writing = all.filter((found) => found.permissions.packages === 'write')
    expect(writing.map(({ file, name }) => `${file} ${name}`)).toEqual(['layers.yml push'])
  })

  it('of others are not in a release', () => {
    const { images } = workflow('make-release.yml').jobs
    expect(images?.with).toMatchObject({ 'pull-layers': 'no' })
    const step = workflow('build.yml').jobs.build?.steps?.find(({ id }) => id === 'layers')
    const pull = (inputs: object) => fill(step?.env?.PULL, { inputs })
    expect([pull({ 'pull-layers': 'no' }), pull({})]).toEqual(['no', 'yes'])
    expect(step?.run).toMatch(/^if \[ "\$PULL" != yes \] \|\| \[ -z "\$SIGNERS" \]; then exit 0; fi\n/)
  })
})

describe('a release', () => {
  it('is built with --refresh, and nothing else is', () => {
    const passed = (file: string) => workflow(file).jobs.build?.steps?.find(({ uses }) => uses === './')?.with
    const { images } = workflow('make-release.yml').jobs
    const refresh = (inputs: object) => fill(passed('build.yml')?.refresh, { inputs })
    expect([refresh(images?.with ?? {}), refresh({})]).toEqual(['true', 'false'])
    const { steps } = readYaml<Action>(join(project, 'action.yml')).runs
    const build = steps.find(({ name }) => name === 'Build')
    expect(build?.env?.REFRESH).toBe('${{ inputs.refresh }}')
    expect(build?.run).toContain('if [ "$REFRESH" = true ]; then options+=(--refresh); fi\n')
  })

  it('is attested in the workflow that builds it, which nothing but another workflow starts', () => {
    expect(Object.keys(workflow('make-release.yml').on)).toEqual(['workflow_call'])
    const attesting = all.filter(({ job }) =>
      job.steps?.some(({ uses = '' }) => uses.startsWith('actions/attest-')),
    )
    expect(attesting.map(({ file, name }) => `${file} ${name}`)).toEqual(['make-release.yml attest'])
  })

  it('is attested as a whole, and the attestation is published beside it', () => {
    const [attest] =
      workflow('make-release.yml').jobs.attest?.steps?.filter(({ id }) => id === 'attest') ?? []
    expect(attest?.with?.['subject-path']).toBe('release/*')
    const taken = workflow('release.yml').jobs.publish?.steps?.flatMap(({ with: given }) => given?.name ?? [])
    expect(taken).toEqual(['release', 'attestation'])
  })
})

describe('a job that may write', () => {
  it.each(
    all
      .filter((found) => writesOf(found).length > 0 && found.job.uses === undefined)
      .map((found) => [found.file, found.name, found] as const),
  )('%s %s runs no code of the repository, unless it is main’s own', (file, _name, found) => {
    if (file !== 'layers.yml') expect(runsCode(found)).toBe(false)
  })

  it('may do no more than the one that calls it', () => {
    for (const { job, permissions } of all.filter(({ job }) => job.uses?.startsWith('./')))
      for (const inner of jobsFrom(basename(job.uses ?? '')))
        for (const scope of Object.keys(inner.permissions))
          expect(permissions, inner.name).toHaveProperty(scope)
  })
})
