import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { describeSource, findCheckout, writeTree } from '../../../src/host/git.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
afterEach(() => vi.unstubAllEnvs())

describeWith(['git', 'tar'], 'the checkout of a pipeline', () => {
  const git = (...words: string[]) =>
    execFileSync('git', ['-C', path('repository'), '-c', 'user.name=t', '-c', 'user.email=t@t', ...words], {
      encoding: 'utf8',
    })

  beforeEach(() => {
    mkdirSync(path('repository', 'deep'), { recursive: true })
    git('init', '--quiet')
    writeFileSync(path('repository', 'deep', 'pipeline.ts'), 'first\n')
    writeFileSync(path('repository', '.gitignore'), 'ignored\n')
    git('add', '.')
    git('commit', '--quiet', '-m', 'first')
  })
  const describeNow = () => describeSource(path('repository', 'deep'), path('repository', 'out'))

  it('is a commit, and nothing else while it is clean', async () => {
    writeFileSync(path('repository', 'ignored'), '')
    mkdirSync(path('repository', 'out'))
    writeFileSync(path('repository', 'out', 'report.json'), 'what the build itself writes')
    expect(await describeNow()).toEqual({ commit: git('rev-parse', 'HEAD').trim(), changed: [] })
  })

  it('says what is changed and what is new, wherever in it', async () => {
    writeFileSync(path('repository', 'deep', 'pipeline.ts'), 'second\n')
    writeFileSync(path('repository', 'new file'), '')
    expect([...((await describeNow())?.changed ?? [])].sort()).toEqual(['deep/pipeline.ts', 'new file'])
  })

  it.each([
    ['https://someone:planted-secret@example.org/image.git', 'https://example.org/image.git'],
    ['https://planted@secret@example.org/image.git', 'https://example.org/image.git'],
    ['https://someone:planted/secret@example.org/image.git', undefined],
    ['https://example.org/image.git?private_token=planted', 'https://example.org/image.git'],
    ['ssh://git@example.org:2222/image.git', 'ssh://example.org:2222/image.git'],
    ['git@example.org:someone/image.git', 'ssh://example.org/someone/image.git'],
    ['/home/someone/image', undefined],
  ])('published at %s, says so without who logs in there', async (remote, expected) => {
    git('remote', 'add', 'origin', remote)
    expect((await describeNow())?.repository).toBe(expected)
  })

  it('is none outside of a repository', async () => {
    mkdirSync(path('elsewhere'))
    expect(await describeSource(path('elsewhere'), path('out'))).toBeUndefined()
  })

  // Skipped where nobody but root could give the repository to another user.
  it.runIf(process.getuid?.() === 0)(
    'of another user is refused in the words of Git, with its advice (skipped without root)',
    async () => {
      chownSync(path('repository'), 12345, 12345)
      const refused = {
        code: 'git-refused',
        message: expect.stringContaining(
          `detected dubious ownership in repository at '${path('repository')}'`,
        ),
        hint: expect.stringContaining(`git config --global --add safe.directory ${path('repository')}`),
      }
      await expect(describeNow()).rejects.toMatchObject(refused)
      await expect(findCheckout(path('repository', 'deep', 'pipeline.ts'))).rejects.toMatchObject(refused)
    },
  )

  it('can be written as it was', async () => {
    writeFileSync(path('repository', 'deep', 'pipeline.ts'), 'second\n')
    await writeTree(path('repository'), 'HEAD', path('tree'))
    expect(readFileSync(path('tree', 'deep', 'pipeline.ts'), 'utf8')).toBe('first\n')
    await expect(writeTree(path('repository'), '--help', path('other'))).rejects.toMatchObject({
      code: 'unknown-revision',
    })
  })

  it('is that of the folder in a hook of another repository, and as its commits are without replacements', async () => {
    const first = git('rev-parse', 'HEAD').trim()
    writeFileSync(path('repository', 'deep', 'pipeline.ts'), 'second\n')
    git('commit', '--quiet', '--all', '-m', 'second')
    git('replace', first, 'HEAD')
    execFileSync('git', ['init', '--quiet', path('other')])
    vi.stubEnv('GIT_DIR', path('other', '.git'))
    vi.stubEnv('GIT_WORK_TREE', path('other'))
    // Here, tar would put the files under another name.
    vi.stubEnv('TAR_OPTIONS', '--transform=s,deep,other,')
    const described = await describeNow()
    await writeTree(path('repository'), first, path('tree'))
    vi.unstubAllEnvs()
    expect(described).toEqual({ commit: git('rev-parse', 'HEAD').trim(), changed: [] })
    expect(readFileSync(path('tree', 'deep', 'pipeline.ts'), 'utf8')).toBe('first\n')
  })
})
