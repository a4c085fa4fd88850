import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { PipelineError } from '../../../src/errors.ts'
import { checkPreseed } from '../../../src/installers/debian-installer/check-preseed.ts'
import { namedHosts, requireKnownAnswers } from '../../../src/installers/debian-installer/extra-answers.ts'
import { renderImagePreseed } from '../../../src/installers/debian-installer/image-preseed.ts'
import { neverAsked } from '../../../src/installers/debian-installer/installed-disk.ts'
import { answeredQuestions } from '../../../src/installers/debian-installer/preseed.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'answers-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

type Answers = NonNullable<NonNullable<Pipeline['debianInstaller']>['extraAnswers']>

const imageWith = (extraAnswers: Answers) => sampleImage(folder, { debianInstaller: { extraAnswers } })

async function rulesFor(extraAnswers: Answers): Promise<readonly string[]> {
  const image = await imageWith(extraAnswers)
  try {
    requireKnownAnswers([image])
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(PipelineError)
    return (error as PipelineError).message.split('\n').slice(1)
  }
}

describe("a site's own answers", () => {
  it('are the last lines of the preseed, each in the form of its type', async () => {
    const image = await imageWith([
      { question: 'clock-setup/ntp-server', type: 'string', value: 'ntp.example.org' },
      { question: 'hw-detect/load_media', type: 'boolean', value: false },
      {
        question: 'grub-pc/install_devices',
        owner: 'grub-pc',
        type: 'multiselect',
        value: ['/dev/vda', '/dev/vdb'],
      },
      { question: 'anna/choose_modules', type: 'multiselect', value: [] },
      { question: 'debian-installer/shell-plugin', type: 'note' },
    ])
    const preseed = renderImagePreseed(image)
    expect(preseed.split("# This site's own answers\n")[1]).toBe(
      [
        'd-i clock-setup/ntp-server string ntp.example.org',
        'd-i hw-detect/load_media boolean false',
        'grub-pc grub-pc/install_devices multiselect /dev/vda, /dev/vdb',
        'd-i anna/choose_modules multiselect',
        'd-i debian-installer/shell-plugin note',
        '',
      ].join('\n'),
    )
    expect(answeredQuestions(preseed)).toContain('anna/choose_modules')
  })

  it('are not there where there are none', async () => {
    expect(renderImagePreseed(await imageWith([]))).not.toContain('own answers')
  })

  it('may be to any question that the installer knows, to those of packages, and to numbered ones', async () => {
    const value = 'x'
    expect(
      await rulesFor([
        { question: 'clock-setup/ntp-server', type: 'string', value },
        { question: 'apt-setup/local0/repository', type: 'string', value },
        { question: 'made-up/question', owner: 'made-up', type: 'string', value },
      ]),
    ).toEqual([])
  })

  it('are refused, all at once, where they are misspelled, given twice, or for the pipeline to give', async () => {
    const value = 'x'
    expect(
      await rulesFor([
        { question: 'clock-setup/ntp-servr', type: 'string', value },
        { question: 'nothing/like/any/of/them', type: 'string', value },
        { question: 'time/zone', type: 'string', value },
        { question: 'netcfg/wireless_essid', type: 'string', value },
        { question: 'netcfg/wireless_essid', type: 'string', value },
      ]),
    ).toEqual([
      '  debianInstaller.extraAnswers[0].question: is not a question of debian-installer; there is clock-setup/ntp-server, found "clock-setup/ntp-servr"',
      '  debianInstaller.extraAnswers[1].question: is not a question of debian-installer, found "nothing/like/any/of/them"',
      '  debianInstaller.extraAnswers[2].question: is already answered by the rest of the pipeline, found "time/zone"',
      '  debianInstaller.extraAnswers[4].question: is answered twice, found "netcfg/wireless_essid"',
    ])
  })

  it.each([
    ['a newline', { question: 'a/b', type: 'string', value: 'x\ny' }],
    ['a backslash', { question: 'a/b', type: 'string', value: 'x\\' }],
    ['a text for a boolean', { question: 'a/b', type: 'boolean', value: 'yes' }],
    ['a password', { question: 'passwd/root-password', type: 'password', value: 'x' }],
    ['a question that is two words', { question: 'a/b c', type: 'string', value: 'x' }],
  ])('are refused with %s', async (_what, answer) => {
    await expect(imageWith([answer] as unknown as Answers)).rejects.toMatchObject({ code: 'configuration' })
  })
})

describe('archives of a site', () => {
  it('are the hosts that its answers name, for the proxy between the guest and them', async () => {
    const { debianInstaller } = await imageWith([
      {
        question: 'apt-setup/local0/repository',
        type: 'string',
        value: 'http://repo.example.org:8080/debian trixie main',
      },
      {
        question: 'apt-setup/local1/repository',
        type: 'string',
        value: 'http://other.example.org/ trixie main, http://[',
      },
      { question: 'apt-setup/local0/key', type: 'string', value: 'http://repo.example.org:8080/key.asc' },
      { question: 'clock-setup/ntp-server', type: 'string', value: 'ntp.example.org' },
      { question: 'hw-detect/load_media', type: 'boolean', value: false },
      { question: 'debian-installer/shell-plugin', type: 'note' },
    ])
    expect(namedHosts(debianInstaller.extraAnswers)).toEqual(['repo.example.org:8080', 'other.example.org'])
  })
})

describe('every answer of our own', () => {
  it('is to a question that the installer knows', async () => {
    const image = await imageWith([])
    const preseed = renderImagePreseed(image)
    const own = [...preseed.matchAll(/^d-i (\S+) /gm)].map(([, question]) => question ?? '')
    const list = new URL('../../../src/installers/debian-installer/installer-questions.txt', import.meta.url)
    const known = readFileSync(list, 'utf8').split('\n')
    expect(own.length).toBeGreaterThan(40)
    expect(own.filter((question) => !known.includes(question) && !neverAsked.has(question))).toEqual([])
  })
})

describeWith(['debconf-set-selections'], 'a preseed, judged by debconf', () => {
  it('is let through when it is sound', async () => {
    await expect(checkPreseed(renderImagePreseed(await imageWith([])))).resolves.toBeUndefined()
  })

  it('is refused when a line is none, or a type is unknown', async () => {
    await expect(checkPreseed('d-i\n')).rejects.toMatchObject({ code: 'preseed-syntax', exitCode: 2 })
    await expect(checkPreseed('d-i a/b nonsense x\n')).rejects.toMatchObject({ code: 'preseed-syntax' })
  })
})
