import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { plainStage, type ResolvedStage } from '../../../src/config/resolved.ts'
import { type AgentOptions, makeBuildAgent, renderEnvironment } from '../../../src/stages/agent.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

const stage: ResolvedStage = {
  ...plainStage,
  name: 'greet',
  summary: 'a greeting',
  script: '/nowhere/greet.sh',
}

/** What a script sees, as a shell reads it: variables by name. */
function readBy(shell: string, text: string): Record<string, string> {
  writeFileSync(path('environment'), text)
  const print = `. "$0"; exec "$1" -e 'console.log(JSON.stringify(process.env))'`
  const out = execFileSync('env', ['-i', shell, '-c', print, path('environment'), process.execPath], {
    encoding: 'utf8',
  })
  return JSON.parse(out) as Record<string, string>
}

describe("a stage's environment, judged by a shell", () => {
  const values = {
    QUOTES: `it's "quoted", isn't it? ''`,
    NEWLINES: 'one\ntwo\n\nlast\n',
    DOLLARS: '$HOME ${HOME} $(id) `id` $$',
    BRACES: '{{ .Path }} {a,b} %{percent} 100%',
    SPECIAL: '\\n \\ ! # ; & | < > * ? ~ [a]',
    SPACES: '  two at both ends  ',
    EMPTY: '',
    UNICODE: 'é 中 🚀',
  }

  it('has every value as it was given', () => {
    expect(readBy('sh', renderEnvironment({ ...stage, environment: values }, 0))).toMatchObject(values)
  })

  it('is what the script declared and a fixed few of ours, nothing of the host', () => {
    const seen = readBy('sh', renderEnvironment({ ...stage, environment: { ONE: '1' } }, 1767312000))
    expect(
      Object.keys(seen)
        .filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name))
        .sort(),
    ).toEqual(['DEBIAN_FRONTEND', 'HOME', 'LC_ALL', 'ONE', 'PATH', 'SOURCE_DATE_EPOCH'])
    expect(seen.SOURCE_DATE_EPOCH).toBe('1767312000')
  })

  it('says where files are for a stage that has some', () => {
    const seen = readBy('sh', renderEnvironment({ ...stage, files: { tree: '/x' } }, 0))
    expect(seen.STAGE_FILES).toBe('/run/systemvm-build/stages/greet/files')
  })
})

describeWith(['cpio', 'tar', 'ssh-keygen'], 'the build agent', () => {
  /** Makes an agent for stages and unpacks what was appended to the initrd. */
  const unpack = async (stages: readonly ResolvedStage[], options?: AgentOptions) => {
    writeFileSync(path('initrd'), Buffer.alloc(700, 'i'))
    const agent = await makeBuildAgent(path('agent'), path('initrd'), stages, 0, options)
    const combined = readFileSync(agent.initrd)
    expect(combined.subarray(0, 700).equals(Buffer.alloc(700, 'i'))).toBe(true)
    mkdirSync(path('tree'))
    execFileSync('cpio', ['--quiet', '-id'], { input: combined.subarray(1024), cwd: path('tree') })
    return { agent, tree: (...names: string[]) => path('tree', 'systemvm-build', 'run', ...names) }
  }

  it('names in its manifest exactly the files that it brings', async () => {
    const { tree } = await unpack((await sampleImage(path())).stages)
    const manifest = readFileSync(path('tree', 'systemvm-build', 'manifest'), 'utf8')
      .trimEnd()
      .split('\n')
    const found = execFileSync('find', ['.', '-type', 'f', '-printf', '%P\n'], {
      cwd: tree(),
      encoding: 'utf8',
    })
    expect([...manifest].sort()).toEqual(found.trimEnd().split('\n').sort())
  })

  it('opens the guest to the key of this run, which others on the host cannot read', async () => {
    const { agent, tree } = await unpack([stage])
    const open = execFileSync('ssh-keygen', ['-y', '-f', agent.privateKey], { encoding: 'utf8' })
    const [type, key] = open.split(' ')
    expect(readFileSync(tree('systemvm-build', 'authorized_keys'), 'utf8')).toContain(
      `${type} ${key?.trim()}`,
    )
    for (const file of [agent.privateKey, agent.initrd]) expect(statSync(file).mode & 0o077).toBe(0)
  })

  it('has what each stage promised, and a network only for the stage that asked', async () => {
    const { tree } = await unpack((await sampleImage(path())).stages)
    const at = (name: string, file: string) => tree('systemvm-build', 'stages', name, file)
    expect(readFileSync(at('second', 'leaves'), 'utf8')).toBe('/etc/word\n')
    const networks = ['first', 'second', 'third'].filter((name) => existsSync(at(name, 'network')))
    expect(networks).toEqual(['third'])
  })

  it('has apt ask the host for packages in the stages with a network, if it is told where', async () => {
    const stages = (await sampleImage(path())).stages
    const sources = ['deb http://mirror.example.org/debian trixie main']
    const { tree } = await unpack(stages, { packages: { port: 4711, sources } })
    const asking = stages.filter(({ name }) => {
      const environment = readFileSync(tree('systemvm-build', 'stages', name, 'environment'), 'utf8')
      return environment.includes("APT_CONFIG='/run/systemvm-build/apt.conf'")
    })
    expect(asking.map(({ name }) => name)).toEqual(['third'])
    expect(readFileSync(tree('systemvm-build', 'sources.list'), 'utf8')).toBe(`${sources[0]}\n`)
    const settings = readFileSync(tree('systemvm-build', 'apt.conf'), 'utf8')
    expect(settings).toContain('Acquire::http::Proxy "http://10.0.2.2:4711";\n')
    expect(settings).toContain('Dir::Etc::sourceparts "/dev/null";\n')
  })

  it('runs the hook after all others of the initramfs', async () => {
    await unpack([stage])
    const hook = path('tree', 'scripts', 'local-bottom', 'systemvm-build')
    expect(statSync(hook).mode & 0o111).toBe(0o111)
    execFileSync('sh', ['-n', hook])
    expect(readFileSync(path('tree', 'scripts', 'local-bottom', 'ORDER'), 'utf8')).toContain(
      '/scripts/local-bottom/systemvm-build "$@"',
    )
  })

  const delivered = async (files: Record<string, string>) => {
    const { tree } = await unpack([{ ...stage, files }])
    return execFileSync(
      'tar',
      ['-tvf', tree('systemvm-build', 'stages', 'greet', 'files.tar'), '--numeric-owner'],
      {
        encoding: 'utf8',
      },
    )
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [mode, owner, , , , ...name] = line.split(/\s+/)
        return `${mode} ${owner} ${name.join(' ')}`
      })
  }

  const makeFolder = (name: string, file: string) => {
    mkdirSync(path(name), { recursive: true })
    writeFileSync(path(name, file), file, { mode: 0o666 })
    return path(name)
  }

  it('delivers the same whatever options the user has for tar', async () => {
    const folder = makeFolder('payload', 'data')
    vi.stubEnv('TAR_OPTIONS', '--transform=s,data,other,')
    const lines = await delivered({ tree: folder }).finally(() => vi.unstubAllEnvs())
    expect(lines.filter((line) => line.endsWith(' tree/data'))).toHaveLength(1)
  })

  it('delivers folders under their own names, owned by root, with the modes that Git keeps', async () => {
    const folder = makeFolder('payload', 'data')
    writeFileSync(path('payload', 'run.sh'), 'true\n', { mode: 0o700 })
    expect(await delivered({ tree: folder })).toEqual([
      'drwxr-xr-x 0/0 tree/',
      '-rw-r--r-- 0/0 tree/data',
      '-rwxr-xr-x 0/0 tree/run.sh',
    ])
  })

  it('keeps apart two folders of which one begins with the name of the other', async () => {
    const files = { one: makeFolder('payload', 'a'), two: makeFolder('payload-more', 'b') }
    const names = (await delivered(files)).map((line) => line.split(' ').at(-1))
    expect(names).toEqual(['one/', 'one/a', 'two/', 'two/b'])
  })

  it('takes folders from a checkout whose path is none that a program likes', async () => {
    const folder = makeFolder('a, b [c] $d (e)/pay.load', 'a')
    expect((await delivered({ tree: folder })).map((line) => line.split(' ').at(-1))).toEqual([
      'tree/',
      'tree/a',
    ])
  })
})
