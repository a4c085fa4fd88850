/** Texts of others in our Markdown, judged by the program that GitHub renders it with. */

import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { code, plain, table } from '../../src/report/markdown.ts'
import { describeJudge, hasProgram } from './judges.ts'

const texts = [
  'see https://example.org/x now',
  'www.example.org and x.www.example.org',
  '2026-11-28T06:30:01Z: http:2026-11-28T06:30:01Z//a',
  'a@example.org xmpp:a@example.org ftp://example.org',
  '~~a~~ 1~rc1 2~rc1',
  '_a_ __b__ (_c_) *d* **e**',
  '# a',
  '- a',
  '+ a',
  '1. a',
  '12) a',
  '===',
  '---',
  '***',
  '> a',
  '    a',
  '<b>a</b> <!-- a -->',
  '&copy;',
  '[a](b) ![a](b) [a]: b',
  '`a` ``b @x`y',
  '\\`@a` \\ a\\',
  '\\[a](b)',
  'a \\| b | c',
]

/** Elements that a text could make; code may be there, and has only text in it. */
const others = /<(?!\/?(?:p|ul|li|blockquote|code|table|thead|tbody|tr|th|td)>)[^>]*>/

describeJudge('cmark-gfm', { 'cmark-gfm': hasProgram('cmark-gfm') }, () => {
  const render = (markdown: string) =>
    spawnSync('cmark-gfm', ['-e', 'autolink', '-e', 'table', '-e', 'strikethrough'], {
      input: markdown,
      encoding: 'utf8',
    }).stdout

  it.each(texts)('sees only text in %s', (text) => {
    const cells = table(['a'], [[plain(text)], [code(text)]])
    const html = render(`- ${plain(text)}\n\n> ${plain(text)}\n> ${plain(text)}\n\n${cells}\n`)
    expect(html).not.toMatch(others)
    expect(html.match(/<td>/g)).toHaveLength(2)
    expect(html.match(/<li>/g)).toHaveLength(1)
    expect(html.match(/<blockquote>/g)).toHaveLength(1)
  })
})
