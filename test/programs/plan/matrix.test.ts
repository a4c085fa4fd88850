import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const project = fileURLToPath(new URL('../../../', import.meta.url))

const program = `${project}bin/systemvm-image.js`
let stderr = ''
let lines = 0

const git = (...words: string[]) =>
  execFileSync('git', ['-C', path('repository'), '-c', 'user.name=t', '-c', 'user.email=t@t', ...words])

/** A repository of somebody else, with the tiny pipeline in two variants. */
function makeRepository(): void {
  mkdirSync(path('repository'))
  git('init', '--quiet')
  cpSync(`${project}test/fixtures/tiny`, path('repository'), { recursive: true })
  for (const name of ['pipeline', 'provisioners/greet', 'provisioners/misbehave', 'provisioners/unpack']) {
    const file = path('repository', `${name}.ts`)
    const own = readFileSync(file, 'utf8')
      .replace(/'(?:\.\.\/)+(src|provisioners)\//g, `'${project}$1/`)
      .replaceAll(/'(\.\/provisioners\/\w+)\.ts/g, "'$1.mts")
      .replace(
        "[{ suite: 'trixie', arch: 'x86_64' }]",
        "['trixie', 'bookworm'].map((suite) => ({ suite, arch: 'x86_64', label: suite }))",
      )
    writeFileSync(path('repository', `${name}.mts`), own)
  }
  git('add', '.')
  git('commit', '--quiet', '-m', 'first')
}

/** As a process: a pipeline outside of this project is read by the program's own loader. */
async function matrix(...words: string[]) {
  const result = await execa(process.execPath, [program, 'matrix', ...words], {
    reject: false,
    timeout: 300_000,
  })
  stderr = result.stderr
  lines = result.stdout.split('\n').length
  const { exitCode } = result
  const jobs = exitCode === 0 ? (JSON.parse(result.stdout) as { include: { variant: string }[] }).include : []
  return { exitCode, jobs, names: jobs.map(({ variant }) => variant) }
}

describe('matrix', () => {
  it('has a job for every variant, on one line', async () => {
    const { jobs } = await matrix()
    expect(lines).toBe(1)
    expect(jobs[0]).toEqual({
      variant: 'bookworm-x86_64',
      suite: 'bookworm',
      arch: 'x86_64',
      installer: 'bootstrap',
      runner: 'ubuntu-24.04',
      targets: ['kvm', 'xenserver', 'hyperv', 'vmware', 'raw'],
    })
    expect(jobs.slice(1)).toMatchObject([
      { variant: 'trixie-x86_64', runner: 'ubuntu-24.04' },
      { variant: 'bookworm-x86_64-uefi', runner: 'ubuntu-24.04' },
      { variant: 'bookworm-aarch64', runner: 'ubuntu-24.04-arm', targets: ['kvm'] },
      { variant: 'trixie-aarch64', runner: 'ubuntu-24.04-arm', targets: ['kvm'] },
    ])
  })

  it('takes names with * and a machine of one’s own', async () => {
    const { jobs } = await matrix('--only', 'book*_64', '--runner', 'x86_64=self-hosted')
    expect(jobs).toMatchObject([{ variant: 'bookworm-x86_64', runner: 'self-hosted' }])
    expect((await matrix('--only', 'trixie-x86_64,bookworm-*')).names).toHaveLength(4)
  })

  it('is empty, and no failure, where a filter leaves nothing; and says so', async () => {
    const { exitCode, jobs } = await matrix('--only', 'noble-*')
    expect({ exitCode, jobs }).toEqual({ exitCode: 0, jobs: [] })
    expect(stderr).toBe(
      'no variant is named noble-*; there are bookworm-x86_64, trixie-x86_64, bookworm-x86_64-uefi, bookworm-aarch64, trixie-aarch64',
    )
  })

  it('leaves out what a revision would have built the same', async () => {
    makeRepository()
    const pipeline = ['--pipeline', path('repository', 'pipeline.mts')]
    const since = (...words: string[]) => matrix(...pipeline, '--changed-since', 'HEAD', ...words)
    expect((await since()).names).toEqual([])
    expect(stderr).toContain('trixie-x86_64: nothing has changed since HEAD')
    writeFileSync(path('repository', 'provisioners', 'greet.sh'), '#!/bin/sh\ntouch /etc/greeting\n')
    expect((await since()).names).toEqual(['trixie-x86_64', 'bookworm-x86_64'])
    git('checkout', '.')
    const file = path('repository', 'pipeline.mts')
    writeFileSync(file, readFileSync(file, 'utf8').replace("['kvm']", "['kvm', 'raw']"))
    expect((await since('--only', 'trixie-*')).names).toEqual(['trixie-x86_64'])
  })

  it('counts everything as changed where nothing was before, or it had no such plan', async () => {
    makeRepository()
    const pipeline = ['--pipeline', path('repository', 'pipeline.mts')]
    expect((await matrix(...pipeline, '--changed-since', '0'.repeat(40))).names).toHaveLength(2)
    expect(stderr).toBe('everything counts as changed: there was no commit before')
    git('mv', 'pipeline.mts', 'renamed.mts')
    git('commit', '--quiet', '-m', 'second')
    expect(
      (await matrix('--pipeline', path('repository', 'renamed.mts'), '--changed-since', 'HEAD~1')).names,
    ).toHaveLength(2)
    expect(stderr).toContain('the program of HEAD~1 makes no plan: ✖ there is no pipeline file')
    mkdirSync(path('repository', 'bin'))
    writeFileSync(path('repository', 'bin', 'systemvm-image.js'), 'console.log("usage")\n')
    git('add', '.')
    git('commit', '--quiet', '-m', 'third')
    const other = await matrix('--pipeline', path('repository', 'renamed.mts'), '--changed-since', 'HEAD')
    expect(other.names).toHaveLength(2)
    expect(stderr).toContain('the program of HEAD makes no plan: its plan has a different format')
  })

  it.each([
    ['a revision that is not there', ['--changed-since', 'nowhere'], 'has no revision "nowhere"'],
    ['a machine for no architecture', ['--runner', 'riscv=x'], 'It must look like x86_64=ubuntu-24.04'],
  ])('refuses %s with 2', async (_case, words, said) => {
    expect((await matrix(...words)).exitCode).toBe(2)
    expect(stderr).toContain(said)
  })
})
