/**
 * The npm package as others get it: packed, installed into an empty folder without a registry, and used there. What npm would
 * fetch is packed from this clone.
 */

import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeDisk, makeFilesystem, makeTree } from '../../support/filesystems.ts'
import { writeReport } from '../../support/reports.ts'
import { describeWith } from '../../support/tools.ts'

const project = fileURLToPath(new URL('../../../', import.meta.url))
const modules = join(project, 'node_modules')
const example = join(project, 'examples/debian-cloud')
/** npm reports to its registry whatever it can, and looks for newer versions of itself. */
const offline = ['--offline', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']

interface Layer {
  readonly name: string
  readonly key: string
}

let root: string
/** The repository that `init` made. */
let made: string
let tarball: string
/** Of packages that npm would get from a registry. */
let fetched: readonly string[]

/** What takes longer than a worker of vitest may be silent runs beside it. */
const runProgram = promisify(execFile)

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'package-'))
  const tarballs = join(root, 'tarballs')
  mkdirSync(tarballs)
  const pack = (from: readonly string[], ...options: string[]) =>
    runProgram('npm', ['pack', '--silent', '--pack-destination', tarballs, ...options, ...from], {
      cwd: project,
    })
  const platforms = readdirSync(join(modules, '@esbuild')).map((name) => join(modules, '@esbuild', name))
  await pack([join(modules, 'esbuild'), join(modules, 'zod'), ...platforms], '--ignore-scripts')
  fetched = readdirSync(tarballs).map((name) => join(tarballs, name))
  tarball = join(tarballs, (await pack([])).stdout.trim().split('\n').at(-1) ?? '')
  made = join(root, 'appliance')
  mkdirSync(made)
  await install(made, tarball, ...fetched)
  run('init')
})
afterAll(() => rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))

async function install(folder: string, ...tarballs: readonly string[]): Promise<void> {
  const cache = ['--cache', join(root, 'cache')]
  await runProgram('npm', ['install', ...cache, ...offline, ...tarballs], { cwd: folder })
}

const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'))

/** Runs the installed program in the appliance. @throws Error with what it printed */
const run = (...words: string[]) =>
  execFileSync(join(made, 'node_modules/.bin/systemvm-image'), words, {
    cwd: made,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })

const own = () => join(made, 'node_modules/systemvm-image')

const layersOf = (stdout: string): readonly Layer[] => JSON.parse(stdout)[0].layers
const plan = (...options: string[]) => layersOf(run('plan', '--json', '--out', join(root, 'out'), ...options))

/** Complaints of the compiler about the appliance, which gets its tools from this clone. */
function typecheck(): Promise<string> {
  const types = join(made, 'node_modules/@types/node')
  cpSync(join(modules, '@types/node'), types, { recursive: true })
  cpSync(join(modules, 'undici-types'), join(made, 'node_modules/undici-types'), { recursive: true })
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(modules, 'typescript/bin/tsc'), '-p', made],
      { cwd: made },
      (_, stdout) => resolve(stdout),
    )
  })
}

describe('the tarball', () => {
  const filesIn = () => execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n')

  it('has JavaScript with types, and TypeScript in examples alone', () => {
    const files = filesIn()
    for (const path of ['src/api.js', 'src/api.d.ts', 'provisioners/stages.d.ts', 'provisioners/cleanup.sh'])
      expect(files).toContain(`package/dist/${path}`)
    const sources = files.filter((path) => /(?<!\.d)\.ts$/.test(path))
    expect(sources.length).toBeGreaterThan(0)
    expect(sources.filter((path) => !path.startsWith('package/dist/examples/'))).toEqual([])
  })

  it('has what the fields of a pipeline mean, for editors', () => {
    const declarations = readFileSync(join(own(), 'dist/src/config/pipeline.d.ts'), 'utf8')
    expect(declarations).toContain('/** Console keyboard layout. */')
  })

  it('brings its packages with their licenses, but those that npm installs', () => {
    const { dependencies } = readJson(join(project, 'package.json'))
    expect(Object.keys(dependencies)).toEqual(['esbuild', 'zod'])
    const licenses = readFileSync(join(own(), 'dist/packages/LICENSES.txt'), 'utf8')
    for (const name of ['commander', 'undici', 'ajv', '@sigstore/verify'])
      expect(licenses).toMatch(new RegExp(`^${name} [\\d.]+: [\\w.-]+$`, 'm'))
    expect(licenses).not.toMatch(/^\S+ [\d.]+: undefined$/m)
  })

  it('leaves nothing in the clone', () => {
    expect(readdirSync(project)).not.toContain('dist')
  })
})

describe('what is installed', () => {
  it('has a public interface, and nothing else', () => {
    const load = (name: string) =>
      execFileSync(
        process.execPath,
        ['--input-type=module', '-e', `console.log(Object.keys(await import('${name}')).sort().join(' '))`],
        { cwd: made, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
      ).trim()
    expect(load('systemvm-image')).toBe('defineCheck definePipeline defineStage kernelModules z')
    expect(load('systemvm-image/stages')).toContain('cleanup configure_grub')
    for (const path of ['dist/src/api.js', 'src/config/pipeline.ts'])
      expect(() => load(`systemvm-image/${path}`)).toThrow(/ERR_PACKAGE_PATH_NOT_EXPORTED/)
  })

  // npm goes over what is there already whenever it adds something.
  it('stays three packages and those of the platform when npm installs something else', async () => {
    const [folder, more] = [join(root, 'second'), join(root, 'more')]
    for (const path of [folder, more]) mkdirSync(path)
    writeFileSync(join(more, 'package.json'), JSON.stringify({ name: 'more', version: '1.0.0' }))
    await install(folder, tarball, ...fetched)
    await install(folder, more)
    const { packages } = readJson(join(folder, 'node_modules/.package-lock.json'))
    const names = Object.keys(packages).filter(
      (path) => !path.includes('@esbuild/') && !path.endsWith('more'),
    )
    expect(names).toEqual(['node_modules/esbuild', 'node_modules/systemvm-image', 'node_modules/zod'])
  })

  it('checks bills of materials by the schemas that it brings', async () => {
    const { faultOfSbom } = await import(join(own(), 'dist/src/release/sbom.js'))
    const bill = { bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, components: [] }
    expect(await faultOfSbom(JSON.stringify(bill))).toBeUndefined()
    expect(await faultOfSbom(JSON.stringify({ ...bill, version: 'first' }))).toContain('must be integer')
  })

  it('says where there is no pipeline that init makes one', () => {
    expect(() => run('plan', '--pipeline', 'none.ts')).toThrow(/there is no pipeline file .*\n.*: init/)
  })
})

describe('a repository that init made', () => {
  it('has a plan with the same keys as its example in the clone', () => {
    const words = ['plan', '--json', '--pipeline', join(example, 'pipeline.ts'), '--out', join(root, 'other')]
    const inClone = execFileSync(process.execPath, [join(project, 'bin/systemvm-image.js'), ...words], {
      encoding: 'utf8',
    })
    expect(plan()).toEqual(layersOf(inClone))
    expect(plan().map(({ name }) => name)).toContain('configure_cloud_init')
  })

  it('passes its own tests', () => {
    const { VITEST: _, NODE_OPTIONS: __, ...env } = process.env
    const stdout = execFileSync('npm', ['test'], { cwd: made, encoding: 'utf8', env })
    expect(stdout).toMatch(/# pass [1-9]|ℹ pass [1-9]/)
    expect(stdout).toMatch(/# fail 0|ℹ fail 0/)
  })

  it('compiles, and not with a misspelled setting', async () => {
    expect(await typecheck()).toBe('')
    const file = join(made, 'pipeline.ts')
    const text = readFileSync(file, 'utf8')
    writeFileSync(
      file,
      text.replace('install_guest_agent()', "install_guest_agent({ refuses: ['guest-exec'] })"),
    )
    expect(await typecheck()).toContain("'refuses' does not exist in type")
    writeFileSync(file, text)
  })

  it('is not made again over itself', () => {
    expect(() => run('init')).toThrow(/already has .*pipeline\.ts.*\n.*nothing was written/)
  })

  it('may lie elsewhere, and gets this package from the same tarball', () => {
    run('init', '../deep/Other One')
    expect(readJson(join(root, 'deep/Other One/package.json'))).toMatchObject({
      name: 'other-one',
      devDependencies: { 'systemvm-image': `file:../../tarballs/${tarball.split('/').at(-1)}` },
    })
  })

  it('may be made by a clone, whose tarball it then depends on', () => {
    const program = join(project, 'bin/systemvm-image.js')
    const { stderr } = spawnSync(process.execPath, [program, 'init', join(root, 'by-clone')], {
      encoding: 'utf8',
    })
    expect(stderr).toContain(`(cd ${resolve(project)} && npm pack)`)
    const { devDependencies } = readJson(join(root, 'by-clone/package.json'))
    const spec = devDependencies['systemvm-image'] as string
    expect(dirname(resolve(root, 'by-clone', spec.replace('file:', '')))).toBe(resolve(project))
  })

  it('keeps what its package.json says, but the test that npm init makes up', () => {
    const folder = join(root, 'kept')
    mkdirSync(folder)
    const own = {
      name: 'mine',
      type: 'commonjs',
      license: 'MIT',
      scripts: { test: 'echo "Error: no test specified" && exit 1', image: 'mine' },
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(own))
    run('init', folder)
    expect(readJson(join(folder, 'package.json'))).toMatchObject({
      name: 'mine',
      type: 'module',
      license: 'MIT',
      scripts: { test: 'node --test', image: 'mine', typecheck: 'tsc --noEmit' },
    })
  })

  it('may be made in a new repository, which has a README.md and a .gitignore', () => {
    const folder = join(root, 'new repository')
    mkdirSync(folder)
    writeFileSync(join(folder, 'README.md'), '# Mine\n')
    writeFileSync(join(folder, '.gitignore'), '*.log\nnode_modules')
    const { stdout, stderr } = spawnSync(join(made, 'node_modules/.bin/systemvm-image'), ['init', folder], {
      encoding: 'utf8',
    })
    expect(stdout.split('\n')).not.toContain('README.md')
    const [, shown = ''] = /README\.md is kept; the example's is (.*)/.exec(stderr) ?? []
    expect(readFileSync(shown, 'utf8')).toContain('## Boot it')
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toBe('# Mine\n')
    expect(readFileSync(join(folder, '.gitignore'), 'utf8')).toBe('*.log\nnode_modules\n/out\n')
  })

  it('is not made where one of its files is a folder', () => {
    const folder = join(root, 'folders')
    mkdirSync(join(folder, '.gitignore'), { recursive: true })
    expect(() => run('init', folder)).toThrow(/\.gitignore is not a text file.*\n.*nothing was written/)
    expect(readdirSync(folder)).toEqual(['.gitignore'])
  })

  it('is not made over a package.json that is none', () => {
    const folder = join(root, 'broken')
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), '[]')
    expect(() => run('init', folder)).toThrow(/package\.json is not a valid package\.json/)
    for (const content of ['{"scripts":{"test":1}}', '{"devDependencies":"abc"}']) {
      writeFileSync(join(folder, 'package.json'), content)
      expect(() => run('init', folder)).toThrow(/package\.json is not a valid package\.json/)
    }
    expect(readdirSync(folder)).toEqual(['package.json'])
  })
})

describe('a stage from another package', () => {
  const name = 'systemvm-image-stage-motd'
  const write = (path: string, text: string) => writeFileSync(join(made, 'node_modules', name, path), text)
  const setVersion = (version: string, main: string) =>
    write('package.json', JSON.stringify({ name, version, type: 'module', exports: `./${main}` }))
  const declaration = `import { defineStage, z } from 'systemvm-image'
    export const motd = defineStage({
      name: 'motd',
      summary: 'a message of the day',
      from: import.meta.url,
      settings: { text: z.string().default('hello') },
      environment: ({ text }) => ({ TEXT: text }),
      leaves: () => ['/etc/motd'],
    })\n`

  beforeAll(() => {
    mkdirSync(join(made, 'node_modules', name))
    write('motd.sh', 'set -eu\necho "$TEXT" >/etc/motd\n')
    const text = readFileSync(join(made, 'pipeline.ts'), 'utf8')
    writeFileSync(
      join(made, 'foreign.ts'),
      `import { motd } from '${name}'\n${text.replace('    cleanup(),', '    motd(),\n    cleanup(),')}`,
    )
  })
  const keys = () => new Map(plan('--pipeline', 'foreign.ts').map(({ name, key }) => [name, key]))

  it.each(['motd.js', 'motd.ts'])('in %s is found by its import', (main) => {
    setVersion('1.0.0', main)
    write(main, declaration)
    expect(keys().get('motd')).toMatch(/^[0-9a-f]{64}$/)
  })

  it('is known by its content, whatever its version', () => {
    setVersion('1.0.0', 'motd.js')
    const before = keys()
    setVersion('2.0.0', 'motd.js')
    expect(keys()).toEqual(before)
    write('motd.sh', 'set -eu\necho "$TEXT" >>/etc/motd\n')
    const after = keys()
    expect(after.get('configure_cloud_init')).toBe(before.get('configure_cloud_init'))
    expect(after.get('motd')).not.toBe(before.get('motd'))
    write('motd.js', declaration.replace("'hello'", "'good day'"))
    expect(keys().get('motd')).not.toBe(after.get('motd'))
  })
})

describeWith(['debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img'], 'a check from another package', () => {
  const name = 'systemvm-image-check-without'
  const out = () => join(root, 'checked')

  /** A package that npm has packed. It is unpacked by hand: npm would ask its registry for what `init` names besides. */
  async function installCheck(version: string, file: string): Promise<void> {
    const folder = join(root, name)
    mkdirSync(folder, { recursive: true })
    const facts = { name, version, type: 'module', exports: './index.js' }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(facts))
    writeFileSync(
      join(folder, 'index.js'),
      `import { defineCheck, z } from 'systemvm-image'
      export const without = defineCheck({
        name: 'without',
        title: 'a file is not there',
        settings: { in: z.string().default('/etc') },
        run: async (files, settings) => {
          const found = await files.stat(settings.in + '/${file}')
          return { faults: found === undefined ? [] : ['there is ${file}'], observed: 'no ${file}' }
        },
      })\n`,
    )
    const packing = ['pack', '--silent', '--pack-destination', root]
    const { stdout } = await runProgram('npm', packing, { cwd: folder })
    const place = join(made, 'node_modules', name)
    mkdirSync(place, { recursive: true })
    const words = ['--extract', '--file', join(root, stdout.trim()), '--directory', place]
    execFileSync('tar', [...words, '--strip-components', '1'])
  }

  /** What a build would have left: a disk with one file. */
  function leaveBuild(): void {
    const tree = makeTree(join(root, 'tree'), {
      'etc/fstab': 'LABEL=root / ext4 defaults 0 1\n',
      'etc/motd': 'hello\n',
    })
    makeFilesystem(join(root, 'filesystem'), { type: 'ext4', sizeMiB: 10, from: tree, label: 'root' })
    const table = 'label: dos\nunit: sectors\n1 : start=2048, size=20480, type=83\n'
    makeDisk(join(root, 'disk.raw'), 14, table, { 2048: join(root, 'filesystem') })
    mkdirSync(join(out(), 'images'), { recursive: true })
    const image = join(out(), 'images/debian-cloud-kvm.qcow2')
    execFileSync('qemu-img', ['convert', '-c', '-O', 'qcow2', join(root, 'disk.raw'), image])
    const sha256 = createHash('sha256').update(readFileSync(image)).digest('hex')
    const images = [{ path: 'images/debian-cloud-kvm.qcow2', target: 'kvm', sha256 }]
    writeReport(out(), 'one', { image: { variant: 'trixie-x86_64' }, images })
    cpSync(join(out(), 'runs/one/report.json'), join(out(), 'report.json'))
  }

  /** Verifies the build: the exit code, and what is said. */
  function verify(): readonly [status: number | null, said: string] {
    const words = ['verify', '--pipeline', 'checked.ts', '--out', out(), '--accelerator', 'tcg']
    const program = join(made, 'node_modules/.bin/systemvm-image')
    const { status, stderr } = spawnSync(program, words, { cwd: made, encoding: 'utf8' })
    return [status, stderr]
  }

  beforeAll(() => {
    leaveBuild()
    const text = readFileSync(join(made, 'pipeline.ts'), 'utf8')
    writeFileSync(
      join(made, 'checked.ts'),
      `import { without } from '${name}'\n${text.replace("targets: ['kvm'],", "targets: ['kvm'],\n  checks: [without()],")}`,
    )
  })

  it('is asked about the content of images without a contract, and again when the package is another', async () => {
    await installCheck('1.0.0', 'issue')
    expect(verify()).toEqual([0, expect.stringContaining('own        1 passed')])
    await installCheck('1.0.1', 'motd')
    const [status, said] = verify()
    expect(said).toMatch(/✖ without a file is not there\n +observed: there is motd/)
    expect(status).toBe(4)
  })
})
