/** `watch` with a real guest: what a person saves is built from there on, whatever the editor, and nothing ends the loop. */

import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { processesOf } from '../e2e/processes.ts'
import { systemvmImage, tinyPipeline } from '../e2e/program.ts'

const clone = fileURLToPath(new URL('../..', import.meta.url))
let folder: string
let watching: ReturnType<typeof systemvmImage>
/** What it has printed, and how much of that was looked at. */
let printed = ''
let seen = 0

const script = () => join(folder, 'tiny', 'provisioners', 'misbehave.sh')
const pipeline = () => join(folder, 'tiny', 'pipeline.ts')

/** Waits until it prints something new; ends with all up to there looked at. */
async function untilPrinted(text: string): Promise<string> {
  for (;;) {
    const at = printed.indexOf(text, seen)
    if (at !== -1) {
      const before = printed.slice(seen, at + text.length)
      seen = at + text.length
      return before
    }
    if (watching.exitCode !== null && watching.exitCode !== undefined)
      throw new Error(`it has ended:\n${printed}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Writes a file as vim and many others do: what was there is put aside, and another file takes its name. */
async function replaceFile(path: string, text: string): Promise<void> {
  await rename(path, `${path}~`)
  await writeFile(path, text)
  await rm(`${path}~`)
}

/** Writes a file as `sed -i` and VS Code on some settings do: under another name first. */
async function moveIntoPlace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-e2e-'))
  await cp(dirname(tinyPipeline), join(folder, 'tiny'), { recursive: true })
  for (const name of await readdir(join(folder, 'tiny'), { recursive: true })) {
    if (!name.endsWith('.ts')) continue
    const path = join(folder, 'tiny', name)
    // What it imports of the clone stays there.
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replaceAll(/'(?:\.\.\/){3,4}(src|provisioners)\//g, `'${clone}$1/`))
  }
  const words = ['--pipeline', pipeline(), '--out', join(folder, 'out'), '--until', 'misbehave']
  watching = systemvmImage(['watch', ...words, '--then', 'cat /etc/greeting; ls /etc/added 2>&1 || true'])
  for (const stream of [watching.stdout, watching.stderr])
    stream?.on('data', (text) => {
      printed += String(text)
    })
})

afterAll(async () => {
  watching.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

it('begins with the stage as it is, and the command after it', async () => {
  await untilPrinted('misbehave of trixie-x86_64  before any change')
  const before = await untilPrinted('✔ misbehave is done')
  expect(before).toContain('it\'s "quoted" ${dollar}')
  expect(before).toContain("ls: cannot access '/etc/added'")
})

it('goes on from a saved script without booting, and shows what that made different', async () => {
  const text = await readFile(script(), 'utf8')
  await replaceFile(script(), text.replace('set -eu\n', 'set -eu\necho one >/etc/added\n'))
  const before = await untilPrinted('✔ misbehave is done')
  expect(before).toContain('misbehave of trixie-x86_64  misbehave: script changed')
  expect(before).toContain('✔ wake')
  expect(before).not.toContain('✔ unpack')
  expect(before).toMatch(/^\/etc\/added$/m)
  await untilPrinted('Contents: 1 added')
  await untilPrinted('added /etc/added')
})

it('survives a pipeline that does not compile, and goes on with the next one', async () => {
  const text = await readFile(pipeline(), 'utf8')
  await moveIntoPlace(pipeline(), text.replace('definePipeline({', 'definePipeline({{'))
  await untilPrinted('does not compile')
  expect(await untilPrinted('^')).toContain('pipeline.ts:9:')
  await moveIntoPlace(pipeline(), text.replace('misbehave()', "misbehave({ how: 'exit' })"))
  await untilPrinted('misbehave: environment changed')
  const before = await untilPrinted('stage misbehave failed with exit status 7')
  expect(before).not.toContain('✔ boot')
  await untilPrinted('│ misbehave: this is the last line before it fails')
  await moveIntoPlace(pipeline(), text)
  // It was made before: only the command is run.
  await untilPrinted('misbehave: environment changed')
  expect(await untilPrinted('✔ misbehave is done')).not.toContain('● misbehave')
})

it('cuts off a run that a change has made pointless, and survives the end of QEMU', async () => {
  const text = await readFile(script(), 'utf8')
  const sleepy = text.replace('echo one', 'echo awake; sleep 15; echo two')
  await writeFile(script(), text.replace('echo one', 'sleep 600; echo one'))
  await untilPrinted('● misbehave')
  await writeFile(script(), sleepy)
  await untilPrinted('misbehave: script changed')
  await untilPrinted('● misbehave')
  for (const { pid, command } of await processesOf(folder))
    if (command.includes('/qemu-system')) process.kill(pid, 'SIGKILL')
  await untilPrinted('✖')
  await untilPrinted('after it was saved')
  // What failed is tried again, also if it is the same.
  await writeFile(script(), sleepy.replace('sleep 15', 'sleep 0'))
  await untilPrinted('✔ misbehave is done')
})

it('ends cleanly, and leaves nothing behind', async () => {
  watching.kill('SIGINT')
  const { exitCode } = await watching
  expect(exitCode, printed).toBe(130)
  expect(await processesOf(folder)).toEqual([])
  const states = await readdir(join(folder, 'out', 'store', 'states'))
  expect(states.filter((name) => name.endsWith('.partial'))).toEqual([])
})
