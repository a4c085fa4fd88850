import { expect, it } from 'vitest'
import { code, plain } from '../../../src/report/markdown.ts'

it.each([
  ['an address', 'see https://example.org/x now', 'see `https://example.org/x` now'],
  ['an address without a scheme', 'www.example.org', '`www.example.org`'],
  ['a mailbox', 'to (a@example.org)', 'to `(a@example.org)`'],
  ['mentions', '@owner/team #12 GH-3', '`@owner/team` `#12` `GH-3`'],
  ['a picture', ':skull:', '`:skull:`'],
  ['a formula', '$x$', '`$x$`'],
  ['emphasis', '_a_ b_c *d*', '\\_a\\_ b_c \\*d\\*'],
  ['versions, which would strike out what is between them', 'a 1~rc1, b 2~rc1', 'a 1\\~rc1, b 2\\~rc1'],
  ['a heading', '# a', '`#` a'],
  ['a list', '- a', '\\- a'],
  ['a numbered list', '1. a', '1\\. a'],
  ['a line below a text, which would make that a heading', '===', '\\==='],
  [
    'a line below a text, which would make the head of a table of that',
    '| --- | --- |',
    '&#124; --- | --- |',
  ],
  ['what turns letters around', 'a\u202eb', 'a\\\\u202eb'],
  ['what clears a terminal', 'a\u001b[2Jb', 'a\\\\u001b\\[2Jb'],
  ['a time', 'its list of 2026-11-28T06:30:01Z: a.json', 'its list of 2026-11-28T06:30:01Z: a.json'],
  ['a time with an address in it', 'http:2026-11-28T06:30:01Z//a', '`http:2026-11-28T06:30:01Z//a`'],
  ['words of ours', 'kernel: linux-image-6.1-amd64 6.1.1-1', 'kernel: linux-image-6.1-amd64 6.1.1-1'],
])('a text in Markdown means nothing but itself: %s', (_what, text, written) => {
  expect(plain(text)).toBe(written)
})

it.each([plain, code])('a text in Markdown takes no more room than a summary has for it', (write) => {
  expect(write('a'.repeat(2 ** 20)).length).toBeLessThan(3000)
})
