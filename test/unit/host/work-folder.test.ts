import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { sceneSpecs } from '../../../src/contract/scenes.ts'
import { createScratchFolder } from '../../../src/host/scratch-folder.ts'
import { socketPathBytes } from '../../../src/host/unix-socket.ts'
import { findWorkFolder, inWorkFolder } from '../../../src/host/work-folder.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
afterEach(() => vi.unstubAllEnvs())

describe('the folder for temporary files', () => {
  it('is TMPDIR, or else one that everyone may write to', async () => {
    vi.stubEnv('TMPDIR', `${path()}/`)
    expect(await findWorkFolder()).toBe(path())
    vi.stubEnv('TMPDIR', '')
    expect(['/var/tmp', '/tmp']).toContain(await findWorkFolder())
  })

  it.each<[what: string, make: () => string, message: RegExp]>([
    ['missing', () => path('none'), /^TMPDIR is .*none: it does not exist \(ENOENT\)$/],
    [
      'a file',
      () => {
        writeFileSync(path('file'), '')
        return path('file')
      },
      /^TMPDIR is .*file: it is not a folder$/,
    ],
    [
      'a circle',
      () => {
        symlinkSync(path('circle'), path('circle'))
        return path('circle')
      },
      /its links lead back to themselves \(ELOOP\)$/,
    ],
    // Not even root may write there.
    ['not writable', () => '/proc/self', /^TMPDIR is \/proc\/self: /],
    ['of a name that is too long', () => path('x'.repeat(300)), /its name is too long \(ENAMETOOLONG\)$/],
    ['relative', () => 'tmp', /^TMPDIR is "tmp", which is not an absolute path$/],
  ])('is refused by name if TMPDIR is %s', async (_what, make, message) => {
    vi.stubEnv('TMPDIR', make())
    await expect(findWorkFolder()).rejects.toMatchObject({
      code: 'work-folder',
      exitCode: 3,
      message: expect.stringMatching(message),
      hint: expect.stringContaining('TMPDIR'),
    })
    await expect(createScratchFolder()).rejects.toMatchObject({ code: 'work-folder' })
  })

  it('has a folder for one action, which nobody else can read and which is removed', async () => {
    vi.stubEnv('TMPDIR', path())
    const failed = inWorkFolder(async (folder) => {
      expect(dirname(folder)).toBe(path())
      expect(lstatSync(folder).mode & 0o777).toBe(0o700)
      writeFileSync(join(folder, 'file'), '')
      throw new Error('failed')
    })
    await expect(failed).rejects.toThrow('failed')
    expect(readdirSync(path())).toEqual([])
  })
})

describe('the folder of a run', () => {
  const longestScene = Math.max(...Object.keys(sceneSpecs).map((name) => `baseBoot-${name}`.length))
  const socketOfScene = (folder: string) => join(folder, 'x'.repeat(longestScene), 'port0')

  it('is in a TMPDIR of any length, with sockets whose paths are short enough', async () => {
    const noted: string[] = []
    const long = path('y'.repeat(120), 'z'.repeat(120))
    mkdirSync(long, { recursive: true })
    vi.stubEnv('TMPDIR', long)
    const { folder, remove } = await createScratchFolder(async (made) => void noted.push(made))
    expect(socketOfScene(folder).length).toBeLessThanOrEqual(socketPathBytes)
    writeFileSync(join(folder, 'disk'), '')
    const [inside] = readdirSync(long)
    expect(readlinkSync(folder)).toBe(join(long, inside ?? ''))
    expect(readdirSync(join(long, inside ?? ''))).toEqual(['disk'])
    expect(noted).toEqual([join(long, inside ?? ''), dirname(folder)])
    await remove()
    expect(readdirSync(long)).toEqual([])
    expect(() => lstatSync(dirname(folder))).toThrow('ENOENT')
  })

  it.each(['a b', 'a;b', '$HOME', "it's"])('is one plain word in a TMPDIR called %s', async (name) => {
    const parent = `/tmp/${name}${process.pid}`
    mkdirSync(parent)
    vi.stubEnv('TMPDIR', parent)
    const { folder, remove } = await createScratchFolder()
    expect(folder).toMatch(/^[\w./-]+$/)
    expect(readdirSync(parent)).toHaveLength(1)
    await remove()
    expect(readdirSync(parent)).toEqual([])
    rmdirSync(parent)
  })

  it.each([1, 40, 45, 46, 47, 60, 107])('has such sockets in a TMPDIR of %i bytes', async (length) => {
    const parent = `/tmp/${'t'.repeat(Math.max(1, length - 5))}`
    mkdirSync(parent)
    vi.stubEnv('TMPDIR', parent)
    const { folder, remove } = await createScratchFolder()
    await remove()
    expect(socketOfScene(folder).length).toBeLessThanOrEqual(socketPathBytes)
    expect(readdirSync(parent)).toEqual([])
    rmdirSync(parent)
  })
})
