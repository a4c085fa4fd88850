/** The documents: their commands are ones that the program takes, their links lead somewhere, and no error is missing. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../src/cli/main.ts'
import { createTerminal } from '../../src/cli/terminal.ts'
import { verbs } from '../../src/cli/verbs.ts'
import { errorCodes } from '../../src/error-codes.ts'

const project = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(join(project, path), 'utf8')
const listed = (folder: string, pattern: RegExp) =>
  readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name))

const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...listed('docs', /\.md$/)]

describe('commands in documents', () => {
  const npmScripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts
  const commands = documents.flatMap((path) => commandsOf(path))

  it('are found', () => {
    expect(commands.length).toBeGreaterThan(40)
  })

  it.each(commands)('$at: $line', async ({ words: [program = '', ...words] }) => {
    if (program === './setup.sh' || program === '.ci/run')
      return expect(existsSync(join(project, program))).toBe(true)
    if (program === 'systemvm-image') return expectParsed(words)
    const [run, name = '', separator, ...rest] = words
    if (run === 'test') return
    expect(run).toBe('run')
    expect(Object.keys(npmScripts)).toContain(name)
    const own = /^node bin\/systemvm-image\.js ?(.*)$/.exec(npmScripts[name] ?? '')?.[1]
    if (own !== undefined)
      await expectParsed([...own.split(' ').filter(Boolean), ...(separator === '--' ? rest : [])])
  })

  it('have none that the program refuses', async () => {
    await expect(expectParsed(['build', '--verify'])).rejects.toThrow(/unknown option/)
  })
})

describe('links in documents', () => {
  const links = documents.flatMap((path) =>
    [...read(path).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(
      ([, to = '', anchor]) => ({
        path,
        to: to === '' ? path : join(dirname(path), to),
        anchor,
      }),
    ),
  )

  it.each(links)('$path links to $to $anchor', ({ to, anchor }) => {
    expect(existsSync(join(project, to))).toBe(true)
    if (anchor !== undefined) expect(anchorsOf(to)).toContain(anchor)
  })

  it.each(listed('docs', /\.md$/))('%s is named in the README', (path) => {
    expect(read('README.md')).toContain(`(${path})`)
  })
})

it('the spelling is American, in documents and in sources', () => {
  const british =
    /\b\w*(?:behaviour|catalogue|colour|favour|honour|judgement|labell(?:ed|ing)(?!by)|licence|misspelt|neighbour|artefact|(?:initial|normal|organ|recogn|serial|synchron|util)is(?:e|ing|ation))\w*/gi
  const sources = ['src', 'provisioners', 'templates', 'examples']
    .flatMap((folder) => listed(folder, /./))
    .filter((path) => statSync(join(project, path)).isFile())
  const found = [...documents, ...sources].flatMap((path) =>
    [...read(path).matchAll(british)].map(([word]) => `${path}: ${word}`),
  )
  expect(found).toEqual([])
})

describe('the README', () => {
  it.each(verbs)('has a line for $name', ({ name }) => {
    expect(read('README.md')).toMatch(new RegExp(`^\\| \`${name}\` `, 'm'))
  })
})

describe('errors', () => {
  const explained = [
    ...read('docs/troubleshooting.md').matchAll(/\[(`[a-z-]+`(?:, `[a-z-]+`)*)\](?!\()/g),
  ].flatMap(([, group = '']) => group.replaceAll('`', '').split(', '))
  const sources = listed('src', /\.ts$/)
    .filter((path) => path !== 'src/error-codes.ts')
    .map(read)
    .join('\n')

  it.each(errorCodes)('%s is explained in troubleshooting.md', (code) => {
    expect(explained).toContain(code)
  })

  it.each(errorCodes)('%s is raised somewhere', (code) => {
    expect(sources.includes(`'${code}'`)).toBe(true)
  })

  it('are quoted in the words of the program, in which … stands for anything', () => {
    const words = sources.replaceAll("\\'", "'").replaceAll(/\s+/g, ' ')
    const rows = read('docs/troubleshooting.md')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
    const quotes = rows.flatMap((row) =>
      [...(row.split(' | ')[0] ?? '').replaceAll(/\[`[^\]]*\]/g, '').matchAll(/`([^`]+)`/g)].map(
        ([, quote = '']) => quote,
      ),
    )
    const fragmentsOf = (quote: string) => quote.split(/…|\b[XY]\b/).map((part) => part.trim())
    const unsaid = quotes.filter((quote) => fragmentsOf(quote).some((part) => !words.includes(part)))
    expect(unsaid, 'change docs/troubleshooting.md to what the program says').toEqual([])
  })

  it('are none that the program does not have', () => {
    expect(
      explained.filter((code) => !(errorCodes as readonly (string | undefined)[]).includes(code)),
    ).toEqual([])
  })
})

/** Commands of a document's `sh` blocks, one a line; a line that ends in a backslash goes on. */
function commandsOf(
  path: string,
): readonly { readonly at: string; readonly line: string; readonly words: string[] }[] {
  const text = read(path)
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(({ 1: block = '', index }) => {
    const first = text.slice(0, index).split('\n').length + 1
    const lines = block.replaceAll('\\\n', '  ').split('\n')
    return lines.flatMap((line, number) =>
      line
        .split(/&&|\|/)
        .map(wordsOf)
        .filter(([program]) => ['npm', './setup.sh', '.ci/run', 'systemvm-image'].includes(program ?? ''))
        .map((words) => ({ at: `${path}:${first + number}`, line: line.trim(), words })),
    )
  })
}

/** The words of a simple command, without its comment. */
function wordsOf(command: string): string[] {
  const words = command.match(/'[^']*'|"[^"]*"|(?:[^\s'"]|'[^']*'|"[^"]*")+/g) ?? []
  const comment = words.findIndex((word) => word.startsWith('#'))
  return words
    .slice(0, comment === -1 ? undefined : comment)
    .map((word) => word.replaceAll(/^(['"])(.*)\1$/g, '$2'))
}

async function expectParsed(words: readonly string[]): Promise<void> {
  const said: string[] = []
  const terminal = {
    ...createTerminal(process),
    out: (text: string) => void said.push(text),
    error: (text: string) => void said.push(text),
  }
  await parseCommandLine(words, terminal).catch((error: Error) => {
    throw new Error(`${error.message}\n${said.join('')}`)
  })
}

/** The headings of a document as GitHub names them in links. */
function anchorsOf(path: string): readonly string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
