/** What a guest prints, as it may be shown and stored: hostile bytes included. */

import { appendFileSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { cleanText, readConsole } from '../../../src/qemu/console.ts'
import { useFolder } from '../../support/folder.ts'

const esc = '\u001b'
const bel = '\u0007'

describe('the text of a guest', () => {
  it.each([
    ['colors', `[${esc}[0;1;31mFAILED${esc}[0m] Failed to start`, '[FAILED] Failed to start'],
    [
      'colors of 256, with colons as systemd writes them',
      `[${esc}[0;38:5:185m*     ${esc}[0m] (1 of 2) Job dev-sda.device/start running`,
      '[*     ] (1 of 2) Job dev-sda.device/start running',
    ],
    ['true colors', `${esc}[38:2::255:100:0mx${esc}[m`, 'x'],
    ['private modes', `${esc}[?2004h${esc}[?25l${esc}[>4;2mprompt`, 'prompt'],
    ['cursor movements and erasures', `${esc}[2J${esc}[1;1H${esc}[Kfirst${esc}[3A`, 'first'],
    ['a CSI with intermediate bytes', `${esc}[!p${esc}[1 qx`, 'x'],
    [
      "systemd's OSC 3008, ended by ST",
      `${esc}]3008;start=4f1c;machineid=ab;user=root${esc}\\login: `,
      'login: ',
    ],
    ['a title, ended by BEL', `${esc}]0;root@systemvm: ~${bel}root@systemvm:~# `, 'root@systemvm:~# '],
    ['a link, whose text stays', `${esc}]8;;https://x.example/${esc}\\here${esc}]8;;${esc}\\`, 'here'],
    ['device control and other strings', `${esc}P$q"p${esc}\\a${esc}_x${esc}\\b${esc}^y${esc}\\c`, 'abc'],
    ['character sets and a reset', `${esc}(B${esc})0${esc}c${esc}7${esc}=x`, 'x'],
    ['the forms with one character', '\u009b31mred\u009b0m\u009d0;title\u009c.', 'red.'],
    ['a bell, a backspace, a delete, a null', `a${bel}b\bc\u007fd\0e`, 'abcde'],
    ['what turns the direction of writing', 'user\u202etxt.exe\u202c \u2066x\u2069\u200f', 'usertxt.exe x'],
  ])('is without %s', (_what, text, expected) => {
    expect(cleanText(text)).toBe(expected)
  })

  it.each([
    ['tabs, letters of all kinds, and brackets', 'a\tb — “ö” 漢 😀 [0;31m] {x}'],
    ['line feeds', 'one\n\ntwo\n'],
  ])('keeps %s', (_what, text) => {
    expect(cleanText(text)).toBe(text)
  })

  it('keeps every version of a line that was overwritten, apart', () => {
    expect(cleanText('10%\r20%\r\r100%\r\n\r[  OK  ] done\r\r\n')).toBe('10% 20% 100%\n[  OK  ] done\n')
  })

  it.each([
    ['a CSI', `Kernel${esc}[38:5`, 'Kernel'],
    ['a CSI before a line feed', `Kernel${esc}[1;\npanic`, 'Kernel\npanic'],
    ['an escape', `x${esc}`, 'x'],
    ['a string: nothing hides behind it', `${esc}]0;Kernel panic\nnext`, '0;Kernel panic\nnext'],
    ['a string in a string', `${esc}]0;a${esc}]0;b${bel}c`, '0;ac'],
  ])('survives %s that is cut short', (_what, text, expected) => {
    expect(cleanText(text)).toBe(expected)
  })

  it('has nothing left that a terminal acts on, whatever came', () => {
    // A linear congruential generator: the same bytes in every run.
    let state = 42
    const next = (limit: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31
      return state % limit
    }
    const alphabet = [esc, '[', ']', 'P', ';', ':', '3', 'm', bel, '\\', '\r', '\n', '\u009b', '\u009d', 'a']
    for (let round = 0; round < 500; round += 1) {
      const text = Array.from({ length: 60 }, () => alphabet[next(alphabet.length)]).join('')
      const clean = cleanText(text)
      expect(clean, JSON.stringify(text)).not.toMatch(/[^\P{Cc}\n\t]/u)
      expect(cleanText(clean)).toBe(clean)
    }
  })

  it('takes a moment for what was made to take an hour', () => {
    for (const unit of [`${esc}]`, `${esc}[1;`, `${esc}]x`, `${esc} `, '\u009d', '\r'])
      expect(cleanText(`${unit.repeat(200_000)}\nend`)).toMatch(/\nend$/)
  })
})

describe('a console', () => {
  const path = useFolder()

  it('is read as it is, and empty before there is one', async () => {
    expect(await readConsole(path('serial.log'))).toBe('')
    writeFileSync(path('serial.log'), `${esc}[32mDebian${esc}[0m\nsystemvm login: `)
    expect(await readConsole(path('serial.log'))).toBe('Debian\nsystemvm login: ')
  })

  it('that never stops is read at its end', async () => {
    writeFileSync(path('serial.log'), '')
    // No text is as long as this.
    truncateSync(path('serial.log'), 2 ** 32)
    appendFileSync(path('serial.log'), '\nsystemvm login: ')
    expect(await readConsole(path('serial.log'))).toBe('\nsystemvm login: ')
  })
})
