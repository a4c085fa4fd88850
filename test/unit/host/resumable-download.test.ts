import { existsSync, linkSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { downloadResumably } from '../../../src/host/resumable-download.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))
let server: Server
let url: string
let asked: (string | undefined)[]
/** Where answers are cut, one after the other; once none is left they are whole. */
let cuts: number[]
let knowsRanges: boolean

/** Resolves when so much has come to the other end: a connection that breaks may lose what nobody has read. */
async function arrival(bytes: number): Promise<void> {
  if (bytes > 0)
    await expect
      .poll(() => statSync(path('file.part'), { throwIfNoEntry: false })?.size, { interval: 5 })
      .toBe(bytes)
}

beforeEach(async () => {
  asked = []
  cuts = []
  knowsRanges = true
  server = createServer((request, response) => {
    const { range } = request.headers
    asked.push(range)
    const start = range === undefined || !knowsRanges ? 0 : Number(/\d+/.exec(range)?.[0])
    if (start >= content.length) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end()
      return
    }
    const rest = content.subarray(start)
    const length = { 'content-length': `${rest.length}` }
    if (start === 0) response.writeHead(200, length)
    else
      response.writeHead(206, {
        ...length,
        'content-range': `bytes ${start}-${content.length - 1}/${content.length}`,
      })
    const cut = cuts.shift()
    if (cut === undefined) response.end(rest)
    else response.write(rest.subarray(0, cut), () => void arrival(start + cut).then(() => response.destroy()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/golden.qcow2`
})

afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const download = (maximumBytes = 1e6) =>
  downloadResumably(url, path('file'), { maximumBytes, signal: new AbortController().signal })

const offsets = () => asked.map((range) => Number(/\d+/.exec(range ?? '0')?.[0]))

describe('a large file', () => {
  it('is there as a whole', async () => {
    await download()
    expect(readFileSync(path('file')).equals(content)).toBe(true)
    expect(existsSync(path('file.part'))).toBe(false)
  })

  it('goes on where a connection broke, however often, as long as each brings something', async () => {
    cuts = [70_000, 70_000, 70_000, 70_000]
    await download()
    expect(readFileSync(path('file')).equals(content)).toBe(true)
    expect(offsets()).toEqual([0, 70_000, 140_000, 210_000, 280_000])
  })

  it('goes on with what a killed run has left', async () => {
    writeFileSync(path('file.part'), content.subarray(0, 100_000))
    await download()
    expect(readFileSync(path('file')).equals(content)).toBe(true)
    expect(offsets()).toEqual([100_000])
  })

  it('is taken as it is where all of it had come', async () => {
    writeFileSync(path('file.part'), content)
    await download()
    expect(readFileSync(path('file')).equals(content)).toBe(true)
  })

  it('begins anew where more is there than the server has, or the server knows no ranges', async () => {
    writeFileSync(path('file.part'), Buffer.concat([content, content]))
    await download()
    expect(readFileSync(path('file')).equals(content)).toBe(true)
    knowsRanges = false
    writeFileSync(path('file.part'), content.subarray(0, 100_000))
    await download()
    expect(readFileSync(path('file')).equals(content)).toBe(true)
  })

  it('is given up when nothing more comes', async () => {
    cuts = Array.from({ length: 20 }, () => 0)
    await expect(download()).rejects.toMatchObject({ code: 'mirror-unreachable' })
    expect(asked.length).toBeLessThan(10)
  })

  it('is refused when it is larger than it may be', async () => {
    await expect(download(1000)).rejects.toMatchObject({ code: 'download-too-large' })
    expect(existsSync(path('file'))).toBe(false)
  })
})

it.each([
  ['a link', symlinkSync],
  ['a hard link', linkSync],
])('writes nothing where %s by the name of its partial file leads', async (_, link) => {
  writeFileSync(path('of-others'), 'mine')
  link(path('of-others'), path('file.part'))
  await download()
  expect(readFileSync(path('of-others'), 'utf8')).toBe('mine')
  expect(readFileSync(path('file')).equals(content)).toBe(true)
})
