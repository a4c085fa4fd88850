import { expect, it } from 'vitest'
import { presentable } from '../../../src/pages/texts.ts'

it('a page has no invisible character of a report, in its names neither', () => {
  const tools = { 'a\u202eb': 'c\u202ed', list: ['\u200be'] }
  expect(presentable({ tools })).toEqual({
    tools: { 'a\\u202eb': 'c\\u202ed', list: ['\\u200be'] },
  })
})
