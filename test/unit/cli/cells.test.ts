import { describe, expect, it } from 'vitest'
import { cutToWidth, widthOf } from '../../../src/cli/views/cells.ts'

describe('a text that is cut to a width', () => {
  it.each([
    ['short', 'short'],
    ['just as wide', 'just as wide'],
    ['longer than that', 'longer than…'],
    ['漢字漢字漢字漢字', '漢字漢字漢…'],
    ['👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦', '👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦…'],
  ])('%s', (text, cut) => {
    expect(cutToWidth(text, 12)).toBe(cut)
  })

  // Measuring all of it took half a minute, at each of the redraws.
  it.each(['a', '"', 'e\u0301', '\u0301'])('may have a million of %j', (unit) => {
    const cut = cutToWidth(unit.repeat(1_000_000), 80)
    expect(widthOf(cut)).toBeLessThanOrEqual(80)
    expect(cut.endsWith('…')).toBe(true)
  })
})
