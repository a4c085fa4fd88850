/**
 * The steps of the workflows, run here for the tiny pipeline: a build of main with an empty registry, whose layers are signed
 * and pushed; a build on another machine with a full one; and a release, which takes nothing from there.
 */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { runWorkflow, type WorkflowResult, type WorkflowRun } from '../support/run-workflow.ts'
import { describeWith } from '../support/tools.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))
const pipeline = 'test/fixtures/tiny/pipeline.ts'
const planted = 'planted-token-0123456789'

let folder: string
let registry: TestRegistry
let vars: Readonly<Record<string, string>>
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'systemvm-workflows-'))
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(folder, 'layers')])
  vars = { LAYER_SIGNERS: `ci@example.org ${readFileSync(join(folder, 'layers.pub'), 'utf8')}` }
  registry = await startRegistry(join(folder, 'registry'))
})
afterAll(async () => {
  await registry.stop()
  rmSync(folder, { recursive: true, force: true })
})

const github = {
  event_name: 'push',
  ref: 'refs/tags/v1.0',
  ref_type: 'tag',
  ref_name: 'v1.0',
  repository: 'Someone/Image',
  actor: 'someone',
  server_url: 'https://github.com',
  workflow_ref: 'Someone/Image/.github/workflows/release.yml@refs/tags/v1.0',
  run_id: '42',
  run_attempt: '1',
  event: {},
}

/** What only GitHub's machines have. A login goes to the registry of the test. */
function playedBy(calls: string): Record<string, string> {
  const log = `printf '%s %s\\n' "\${0##*/}" "$*" >>'${calls}'`
  return {
    sudo: `${log}\ncase $1 in tee) cat >/dev/null ;; esac`,
    gh: `${log}\ncase "$1 $2" in 'release download') exit 1 ;; esac`,
    skopeo: `${log}
if [ "$1" = login ]; then cat >/dev/null; exit 0; fi
for word; do
  shift
  case $word in
    *tls-verify=*) word="\${word%=*}=false" ;;
    docker://ghcr.io/*) word="docker://${registry.host}/\${word#docker://ghcr.io/}" ;;
  esac
  set -- "$@" "$word"
done
PATH=\${PATH#*:} exec skopeo "$@"`,
  }
}

function run(
  name: string,
  over: Partial<WorkflowRun> & Pick<WorkflowRun, 'file' | 'inputs'>,
): Promise<WorkflowResult> {
  return runWorkflow({
    repository: project,
    folder: join(folder, name),
    github: { ...github, token: planted },
    vars,
    played: playedBy(join(folder, `${name}.calls`)),
    ...over,
  })
}

const outputOf = ({ steps }: WorkflowResult, name: string) =>
  steps.find((step) => step.name === name)?.output ?? ''
const ranOf = ({ steps }: WorkflowResult) => steps.filter(({ ran }) => ran).map(({ name }) => name)

describeWith(
  ['docker-registry', 'skopeo', 'ssh-keygen', 'packer', 'mmdebstrap', 'git'],
  'the workflows',
  () => {
    describe('layers.yml, with build.yml in it', () => {
      let result: WorkflowResult
      beforeAll(async () => {
        const main = { ref: 'refs/heads/main', ref_type: 'branch', ref_name: 'main' }
        result = await run('first', {
          file: 'layers.yml',
          inputs: {},
          github: { ...github, ...main, token: planted },
          vars: { ...vars, PIPELINE: pipeline },
          secrets: { LAYER_SIGNING_KEY: readFileSync(join(folder, 'layers'), 'utf8') },
        })
      })

      it('builds from nothing, and pushes the layers', () => {
        expect(outputOf(result, 'Pull layers')).toContain('0 layers, 0 B, pulled')
        expect(outputOf(result, 'Build')).toContain('tiny trixie-x86_64 built in')
        expect(outputOf(result, 'Push layers')).toMatch(/4 layers, .* pushed/)
      })

      it('shows stages, sizes and checks', () => {
        expect(result.summary).toContain('## ✅ trixie-x86_64: succeeded in')
        expect(result.summary).toMatch(/\| greet \| ran \| [\d.]+s \|/)
        expect(result.summary).toContain('| kvm | `tiny-1.0-x86_64-kvm.qcow2` |')
        expect(result.summary).toContain('[The report of trixie-x86_64](https://github.com/artifacts/')
        console.log(result.summary)
      })

      it('says no secret anywhere', () => {
        const said = result.summary + result.steps.map(({ output }) => output).join('\n')
        for (const secret of [planted, 'PRIVATE KEY']) {
          expect(said).not.toContain(secret)
          expect(readFileSync(join(folder, 'first.calls'), 'utf8')).not.toContain(secret)
        }
      })
    })

    describe('release.yml, with make-release.yml and build.yml in it', () => {
      let result: WorkflowResult
      beforeAll(async () => {
        const inputs = { pipeline, allow: 'unverified', publish: true }
        result = await run('release', { file: 'release.yml', inputs })
      })

      it('builds from nothing, whatever the registry has', () => {
        expect(ranOf(result)).not.toContain('Pull layers')
        expect(outputOf(result, 'Build')).toContain('tiny trixie-x86_64 built in')
      })

      it('makes a release, checks it, and publishes every file with its attestation', () => {
        expect(outputOf(result, 'Check the release')).toContain(
          'internally consistent, but not authenticated',
        )
        const published = join(folder, 'release', 'release.yml-publish-0', 'workspace', 'release')
        const calls = readFileSync(join(folder, 'release.calls'), 'utf8')
        const create = calls.split('\n').find((line) => line.startsWith('gh release create v1.0 ')) ?? ''
        const names = readdirSync(published)
        expect(names).toContain('attestation.sigstore.json')
        for (const name of names) expect(create).toContain(`release/${name}`)
        const statement = readFileSync(join(published, 'provenance.intoto.json'), 'utf8')
        expect(statement).toContain('https://github.com/Someone/Image/actions/runs/42/attempts/1')
      })

      it('says no secret anywhere', () => {
        expect(result.summary + result.steps.map(({ output }) => output).join('\n')).not.toContain(planted)
        expect(readFileSync(join(folder, 'release.calls'), 'utf8')).not.toContain(planted)
      })
    })

    describe('build.yml on another machine', () => {
      it('pulls the layers, and has nothing left to run', async () => {
        const result = await run('second', {
          file: 'build.yml',
          inputs: { pipeline, only: 'trixie-*', verify: 'false' },
        })
        expect(outputOf(result, 'Pull layers')).toMatch(/4 layers, .* pulled/)
        expect(outputOf(result, 'Build')).toMatch(/● misbehave +cached/)
      })

      it('ends well where a filter leaves nothing', async () => {
        const result = await run('third', {
          file: 'build.yml',
          inputs: { pipeline, only: 'noble-*', verify: 'false' },
        })
        expect(ranOf(result)).not.toContain('Build')
        expect(result.outputs.matrix).toEqual({ matrix: '{"include":[]}', any: 'false' })
      })
    })

    it('ci.yml lints, and checks types', async () => {
      // The other steps are the test suites, of which this test is a part.
      const without = [
        'check Unit tests',
        'check Tests that run programs',
        'check Rendered files',
        'guests Tests with real guests',
      ]
      const result = await run('fourth', { file: 'ci.yml', inputs: {}, without })
      expect(ranOf(result)).toEqual(expect.arrayContaining(['Set up', 'Lint', 'Types']))
    })
  },
)
