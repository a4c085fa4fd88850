import { describe, expect, it } from 'vitest'
import { parsePackerLine, parseStageLine } from '../../../src/packer/stream.ts'

/** What Packer 1.6.6 wrote on stdout with `-machine-readable`, line by line. */
const recorded = `
1795361616,,ui,say,==> qemu.systemvm: Running local shell script: /tmp/packer-shell2965239248
1795361616,,ui,error,==> qemu.systemvm: to stderr%!(PACKER_COMMA)
1795361616,,ui,message,    qemu.systemvm: @stage begin greet
1795361616,,ui,message,    qemu.systemvm: one%!(PACKER_COMMA) two%!(PACKER_COMMA) three
1795361616,,ui,message,    qemu.systemvm:   indented
1795361616,,ui,message,    qemu.systemvm:
1795361616,,ui,message,    qemu.systemvm: 100% %!(X)
1795361616,,ui,message,    qemu.systemvm: @stage end greet 7
1795361616,,ui,say,==> qemu.systemvm: Provisioning step had errors: Running the cleanup provisioner%!(PACKER_COMMA) if present...
1795361616,,ui,say,\\n==> Wait completed after 14 milliseconds 770 microseconds
1795361616,,error-count,1
1795361616,,ui,error,\\n==> Some builds didn't complete successfully and had errors:
1795361616,qemu.systemvm,error,Script exited with non-zero exit status: 7.Allowed exit codes are: [0]
1795361616,,ui,error,--> qemu.systemvm: Script exited with non-zero exit status: 7.Allowed exit codes are: [0]
`.trim()

describe("Packer's stream", () => {
  it('is read into the lines that people would see, and no others', () => {
    const lines = recorded.split('\n').flatMap(parsePackerLine)
    expect(lines.map(({ kind, text }) => `${kind}|${text}`)).toEqual([
      'say|Running local shell script: /tmp/packer-shell2965239248',
      'error|to stderr,',
      'message|@stage begin greet',
      'message|one, two, three',
      'message|  indented',
      'message|',
      'message|100% %!(X)',
      'message|@stage end greet 7',
      'say|Provisioning step had errors: Running the cleanup provisioner, if present...',
      'say|',
      'say|==> Wait completed after 14 milliseconds 770 microseconds',
      'error|',
      "error|==> Some builds didn't complete successfully and had errors:",
      'error|--> qemu.systemvm: Script exited with non-zero exit status: 7.Allowed exit codes are: [0]',
    ])
  })

  it('has one line for each of a message that holds several', () => {
    const line = '1795361616,,ui,message,    qemu.systemvm: one\\r\\ntwo%!(PACKER_COMMA)2\\nthree'
    expect(parsePackerLine(line).map(({ text }) => text)).toEqual(['one', 'two,2', 'three'])
  })

  it('has nothing in it that a terminal would act on, and each version of a line that was overwritten', () => {
    const line =
      '1795361616,,ui,message,    qemu.systemvm: \u001b[0;38:5:185m10%\\r\u001b[K100%\u001b[0m done\u0007'
    expect(parsePackerLine(line).map(({ text }) => text)).toEqual(['10% 100% done'])
  })

  it.each([
    '',
    'not a line',
    'Error: no such file',
    '1795361616,,version,1.6.6',
    '1795361616,,ui',
    '1,,ui,ask,?',
  ])('may hold %j, which means nothing', (line) => {
    expect(parsePackerLine(line)).toEqual([])
  })
})

describe("a stage's line", () => {
  const sum = 'dc36b4dc'.repeat(8)
  it.each([
    ['@stage begin greet', { kind: 'begin', name: 'greet' }],
    ['@stage end greet 0', { kind: 'end', name: 'greet', exitStatus: 0 }],
    ['@stage end greet 125', { kind: 'end', name: 'greet', exitStatus: 125 }],
    ['@stage missing /etc/two words', { kind: 'missing', path: '/etc/two words' }],
    [
      '@stage package libc6:amd64 2.41-12 ii ',
      { kind: 'package', name: 'libc6:amd64', version: '2.41-12', isInstalled: true },
    ],
    ['@stage packages-end', { kind: 'packages-end' }],
    [
      `@stage artifact file 644 49 ${sum} /etc/two words`,
      {
        kind: 'artifact',
        type: 'file',
        mode: '644',
        sizeBytes: 49,
        sha256: sum,
        path: '/etc/two words',
      },
    ],
  ])('%s', (text, expected) => {
    expect(parseStageLine(text, '@stage')).toEqual(expected)
  })

  it.each([
    '',
    'hello',
    '@stage',
    '@stage else',
    ' @stage begin greet',
    '@stages begin x',
    '@stage end greet',
    '@stage end greet well',
    `@stage artifact socket 644 0 ${sum} /run/s`,
    `@stage artifact file 644 many ${sum} /etc/file`,
    '@stage artifact file 644 0 dc36b4dc /etc/file',
    `@stage artifact file 644 0 ${sum} relative`,
  ])('%j is output of the script', (text) => {
    expect(parseStageLine(text, '@stage')).toEqual({ kind: 'output', text })
  })

  it.each([
    ['ii', true],
    ['ii ', true],
    ['hi', true],
    ['iF', true],
    ['ri', true],
    ['rc', false],
    ['un', false],
  ])('of a package in state %j says whether it is installed', (status, isInstalled) => {
    expect(parseStageLine(`@stage package nano 8.4-1 ${status}`, '@stage')).toMatchObject({ isInstalled })
  })
})
