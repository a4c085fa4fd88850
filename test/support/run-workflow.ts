/**
 * Runs the steps of a workflow here: each job in a fresh clone, as on a fresh machine, with the files that GitHub provides to
 * steps. Simulates whatever only concerns GitHub; actually does what concerns this product.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import {
  type Action,
  type Contexts,
  fill,
  fillText,
  isWanted,
  type Job,
  readYaml,
  type Step,
  type Workflow,
} from './workflow-files.ts'

export interface WorkflowRun {
  /** Repository to clone. */
  readonly repository: string
  readonly file: string
  readonly github: Readonly<Record<string, unknown>>
  readonly inputs: Readonly<Record<string, unknown>>
  /** Variables and secrets of the repository. A called workflow gets no secrets. */
  readonly vars?: Readonly<Record<string, string>>
  readonly secrets?: Readonly<Record<string, string>>
  /** Folder for clones, artifacts and simulated programs. */
  readonly folder: string
  /** Simulated programs that replace GitHub's and root's, by name, as scripts for sh. */
  readonly played: Readonly<Record<string, string>>
  /** Steps to leave out, as `<job> <name>`, each because its work was done elsewhere. */
  readonly without?: readonly string[]
  readonly onLine?: (line: string) => void
}

export interface StepResult {
  readonly job: string
  readonly name: string
  readonly ran: boolean
  readonly output: string
}

export interface WorkflowResult {
  readonly steps: readonly StepResult[]
  /** What the jobs wrote to their summaries. */
  readonly summary: string
  /** By job, the outputs that it passes on. */
  readonly outputs: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Runs the jobs in order. @throws Error if a step fails, with its output */
export async function runWorkflow(run: WorkflowRun): Promise<WorkflowResult> {
  const workflow = readYaml<Workflow>(join(run.repository, '.github', 'workflows', run.file))
  const found: Found = { steps: [], summary: '', outputs: {} }
  for (const [name, job] of Object.entries(workflow.jobs)) {
    const needs = Object.fromEntries(
      Object.entries(found.outputs).map(([other, outputs]) => [other, { outputs, result: 'success' }]),
    )
    const { github, inputs, vars = {}, secrets = {} } = run
    const contexts = { github, inputs, vars, secrets, needs }
    if (!isWanted(job.if, contexts, 'success')) continue
    await runJob(name, job, contexts, run, found)
  }
  return found
}

// --- internal ---

interface Found {
  readonly steps: StepResult[]
  summary: string
  readonly outputs: Record<string, Record<string, unknown>>
}

async function runJob(
  name: string,
  job: Job,
  contexts: Contexts,
  run: WorkflowRun,
  found: Found,
): Promise<void> {
  if (job.uses !== undefined) {
    const given = Object.fromEntries(
      Object.entries(job.with ?? {}).map(([key, value]) => [key, fill(value, contexts)]),
    )
    const called = await runWorkflow({ ...run, file: basename(job.uses), inputs: given, secrets: {} })
    found.steps.push(...called.steps)
    found.summary += called.summary
    found.outputs[name] = {}
    return
  }
  const matrix = fill(job.strategy?.matrix, contexts) as { include?: readonly unknown[] } | undefined
  for (const [index, variant] of (matrix?.include ?? [{}]).entries()) {
    const machine = await startMachine(`${run.file}-${name}-${index}`, run)
    const all = { ...contexts, matrix: variant, runner: { os: 'Linux', arch: 'X64', temp: machine.temp } }
    const outputs = await runSteps(job.steps ?? [], { job: name, contexts: all, machine, run, found })
    found.summary += readFileSync(machine.summary, 'utf8')
    found.outputs[name] = Object.fromEntries(
      Object.entries(job.outputs ?? {}).map(([key, value]) => [key, fill(value, { ...all, steps: outputs })]),
    )
  }
}

/** A fresh clone with the folders and files of a runner. */
interface Machine {
  readonly workspace: string
  readonly temp: string
  readonly summary: string
  readonly path: string
}

async function startMachine(name: string, { folder, repository, played }: WorkflowRun): Promise<Machine> {
  const home = join(folder, name)
  const [workspace, temp, programs] = ['workspace', 'temp', 'programs'].map((part) => join(home, part)) as [
    string,
    string,
    string,
  ]
  for (const path of [temp, programs]) mkdirSync(path, { recursive: true })
  await execa('git', ['clone', '--quiet', '--no-hardlinks', repository, workspace])
  for (const [program, script] of Object.entries(played)) {
    writeFileSync(join(programs, program), `#!/bin/sh\n${script}\n`)
    chmodSync(join(programs, program), 0o755)
  }
  const summary = join(home, 'summary.md')
  writeFileSync(summary, '')
  return { workspace, temp, summary, path: `${programs}:${process.env.PATH}` }
}

interface Place {
  readonly job: string
  readonly contexts: Contexts
  readonly machine: Machine
  readonly run: WorkflowRun
  readonly found: Found
  /** Folder of the action that the steps belong to. */
  readonly action?: string
}

type StepOutputs = Record<string, { outputs: Record<string, string>; outcome: string }>

/** Runs steps until one fails; after that, only those that always run. */
async function runSteps(steps: readonly Step[], place: Place): Promise<StepOutputs> {
  const outputs: StepOutputs = {}
  let failure: Error | undefined
  for (const [index, step] of steps.entries()) {
    const contexts = { ...place.contexts, steps: outputs }
    const name = step.name ?? step.uses ?? `step ${index}`
    const isLeftOut = place.run.without?.includes(`${place.job} ${name}`) ?? false
    const wanted = !isLeftOut && isWanted(step.if, contexts, failure === undefined ? 'success' : 'failure')
    const result = { job: place.job, name, ran: wanted, output: '' }
    if (!wanted) {
      place.found.steps.push(result)
      continue
    }
    const { output, outputs: own, failed } = await runStep(step, { ...place, contexts })
    place.found.steps.push({ ...result, output })
    if (step.id !== undefined) outputs[step.id] = { outputs: own, outcome: failed ? 'failure' : 'success' }
    if (failed)
      failure ??= new Error(`${place.run.file}: ${place.job}: ${name} failed:\n${output.slice(-4000)}`)
  }
  if (failure !== undefined) throw failure
  return outputs
}

interface Ran {
  readonly output: string
  readonly outputs: Record<string, string>
  readonly failed: boolean
}

async function runStep(step: Step, place: Place): Promise<Ran> {
  if (step.run !== undefined) return runScript(step.run, step.env ?? {}, place)
  const uses = step.uses ?? ''
  const given = Object.fromEntries(
    Object.entries(step.with ?? {}).map(([key, value]) => [key, fillText(value, place.contexts)]),
  )
  if (uses === './') return runAction(given, place)
  return playAction(uses.replace(/@.*/, ''), given, place)
}

/** A composite action in the repository itself. */
async function runAction(given: Readonly<Record<string, string>>, place: Place): Promise<Ran> {
  const { inputs, runs } = readYaml<Action>(join(place.machine.workspace, 'action.yml'))
  const defaults = Object.fromEntries(
    Object.entries(inputs).map(([key, input]) => [key, `${input.default ?? ''}`]),
  )
  const contexts = { ...place.contexts, inputs: { ...defaults, ...given } }
  try {
    await runSteps(runs.steps, { ...place, contexts, action: place.machine.workspace })
    return { output: '', outputs: {}, failed: false }
  } catch (error) {
    return { output: (error as Error).message, outputs: {}, failed: true }
  }
}

/** GitHub's actions: those that move files do so, and the work of the others has already been done here. */
async function playAction(name: string, given: Readonly<Record<string, string>>, place: Place): Promise<Ran> {
  const { workspace } = place.machine
  const artifacts = join(place.run.folder, 'artifacts')
  const fine = { output: '', outputs: {}, failed: false }
  switch (name) {
    case 'actions/checkout':
    case 'actions/setup-node':
      return fine
    case 'actions/upload-artifact':
      if (given['if-no-files-found'] === 'ignore' && !existsSync(join(workspace, given.path ?? '')))
        return fine
      keepArtifact(join(workspace, given.path ?? ''), join(artifacts, given.name ?? ''))
      return { ...fine, outputs: { 'artifact-url': `https://github.com/artifacts/${given.name}` } }
    case 'actions/download-artifact': {
      if (given.name !== undefined) {
        cpSync(join(artifacts, given.name), join(workspace, given.path ?? ''), { recursive: true })
        return fine
      }
      const prefix = (given.pattern ?? '').replace('*', '')
      for (const one of readdirSync(artifacts).filter((found) => found.startsWith(prefix)))
        cpSync(join(artifacts, one), join(workspace, given.path ?? '', one), { recursive: true })
      return fine
    }
    case 'actions/attest-build-provenance': {
      const folder = join(workspace, (given['subject-path'] ?? '').replace(/\*$/, ''))
      const bundle = join(place.machine.temp, 'attestation.json')
      writeFileSync(bundle, '{}')
      const failed = !existsSync(folder) || readdirSync(folder).length === 0
      return { ...fine, outputs: { 'bundle-path': bundle }, failed }
    }
    default:
      return { ...fine, output: `nobody plays ${name}`, failed: true }
  }
}

/** A file, or the contents of a folder, without hidden files. */
function keepArtifact(path: string, artifact: string): void {
  const to = statSync(path).isFile() ? join(artifact, basename(path)) : artifact
  cpSync(path, to, { recursive: true, filter: (from) => !basename(from).startsWith('.') })
}

async function runScript(script: string, env: Readonly<Record<string, unknown>>, place: Place): Promise<Ran> {
  const { machine, contexts, run, action } = place
  const output = join(machine.temp, 'output')
  writeFileSync(output, '')
  const file = join(machine.temp, 'script.sh')
  writeFileSync(file, script)
  const filled = Object.entries(env).map(([key, value]) => [key, fillText(value, contexts)] as const)
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', file], {
    cwd: machine.workspace,
    env: {
      ...environmentOf(run),
      PATH: machine.path,
      GITHUB_OUTPUT: output,
      GITHUB_STEP_SUMMARY: machine.summary,
      GITHUB_WORKSPACE: machine.workspace,
      GITHUB_ACTION_PATH: action ?? '',
      RUNNER_TEMP: machine.temp,
      ...Object.fromEntries(filled),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const from of [child.stdout, child.stderr]) {
    from.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      run.onLine?.(chunk.toString())
    })
  }
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { output: text, outputs: parseOutputs(readFileSync(output, 'utf8')), failed: exitCode !== 0 }
}

/** Only those variables of this process that a machine has, then GitHub's. */
function environmentOf({ github }: WorkflowRun): Record<string, string> {
  const kept = ['HOME', 'LANG', 'TMPDIR', 'GOPATH'].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const npm = Object.entries(process.env).filter(
    ([name, value]) => /^npm_config_|_proxy$/i.test(name) && value !== undefined,
  )
  const told = Object.entries(github).filter(([, value]) => typeof value === 'string')
  return {
    CI: 'true',
    ...Object.fromEntries(npm),
    ...Object.fromEntries(kept),
    ...Object.fromEntries(told.map(([name, value]) => [`GITHUB_${name.toUpperCase()}`, value as string])),
  } as Record<string, string>
}

function parseOutputs(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}
