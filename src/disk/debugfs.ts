/**
 * Sends many requests to a single debugfs process. Files are requested by inode, so that file names never become part of a
 * request. Answers are delimited by their length, so that content cannot be mistaken for the next answer.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { awaitedLater } from '../host/awaited-later.ts'
import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'
import { unreadableDisk } from './unreadable.ts'

/** The answers in order, each after the line with which debugfs starts it. */
export interface Answers {
  /** One byte is one character. */
  readonly text: string
  /** Skips the first line of the answer to a request, which must come next. */
  readonly begin: (request: string) => void
  /** Matches a sticky expression at the current position, and moves past it. */
  readonly take: (pattern: RegExp) => RegExpExecArray | undefined
  /** Returns the next `count` bytes. */
  readonly takeBytes: (count: number) => string
  /** Fails if anything is left over. */
  readonly end: () => void
}

/**
 * Sends requests, and waits for all answers.
 * @throws PipelineError `disk-unreadable` if debugfs complains about anything
 */
export async function askDebugfs(
  filesystem: string,
  requests: readonly string[],
  signal: AbortSignal,
): Promise<Answers> {
  if (requests.length === 0) return readAnswers(filesystem, '')
  const { stdout } = await runDebugfs(filesystem, `${requests.join('\n')}\n`, signal)
  return readAnswers(
    filesystem,
    Buffer.from(stdout.buffer, stdout.byteOffset, stdout.byteLength).toString('latin1'),
  )
}

/** Replays the journal into the filesystem, as the kernel would on mounting it. */
export async function replayJournal(filesystem: string, signal: AbortSignal): Promise<void> {
  await runDebugfs(filesystem, 'journal_run\n', signal, ['-w'])
}

/**
 * Executes requests that change the filesystem.
 * @param requests as bytes, since names need not be UTF-8; they can still arrive while debugfs executes the first ones
 * @param options where debugfs runs, and its environment
 */
export async function changeFilesystem(
  filesystem: string,
  requests: AsyncIterable<Buffer>,
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  signal: AbortSignal,
): Promise<void> {
  const lines = async function* () {
    for await (const request of requests) yield Buffer.concat([request, Buffer.from('\n')])
  }
  await runDebugfs(filesystem, Readable.from(lines()), signal, ['-w'], options)
}

export interface ContentRequest {
  readonly inode: number
  /** Size according to the inode. */
  readonly sizeBytes: number
}

/**
 * Reads files in the order of the requests, holding only one chunk in memory.
 * @param onChunk gets the next bytes of a file, which are valid only until it returns
 */
export async function streamContent(
  filesystem: string,
  requests: readonly ContentRequest[],
  onChunk: (request: ContentRequest, bytes: Buffer) => void,
  signal: AbortSignal,
): Promise<void> {
  // debugfs prints up to 60 bytes for an empty file whose data is in its inode.
  const wanted = requests.filter(({ sizeBytes }) => sizeBytes > 0)
  if (wanted.length === 0) return
  const child = spawn('debugfs', ['-f', '-', '--', filesystem], { env: debugfsEnvironment().env, signal })
  const ended = awaitedLater(once(child, 'close'))
  // `ended` reports an early end; the pipe would report it again.
  child.stdin.on('error', () => undefined)
  child.stdin.end(wanted.map(({ inode }) => `cat <${inode}>\n`).join(''))
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (complaints.length < mostComplaints) complaints += text
  })
  let refusal: { readonly error: unknown } | undefined
  const reader = cutContent(wanted, (request, bytes) => {
    try {
      onChunk(request, bytes)
    } catch (error) {
      refusal = { error }
      throw error
    }
  })
  let fault: unknown
  try {
    for await (const chunk of child.stdout) reader.push(chunk as Buffer)
    reader.end()
  } catch (error) {
    fault = error
    child.kill()
  }
  await ended.catch((error) => {
    fault ??= error
  })
  signal.throwIfAborted()
  // debugfs then complains that its output is no longer read.
  if (refusal !== undefined) throw refusal.error
  requireQuiet(filesystem, complaints)
  if (fault !== undefined) throw fault
}

// --- internal ---

function debugfsEnvironment(more: NodeJS.ProcessEnv = {}) {
  const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  return bareEnvironment({ PATH, DEBUGFS_PAGER: '__none__', ...more })
}

/** A damaged filesystem has something to complain about in every file. */
const mostComplaints = 1024 ** 2

const mostAnswerBytes = 256 * 1024 ** 2

async function runDebugfs(
  filesystem: string,
  input: string | Readable,
  signal: AbortSignal,
  flags: readonly string[] = [],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
) {
  const result = await execa('debugfs', [...flags, '-f', '-', '--', filesystem], {
    reject: false,
    input,
    encoding: 'buffer',
    stripFinalNewline: false,
    maxBuffer: mostAnswerBytes,
    timeout: 600_000,
    cancelSignal: signal,
    ...(cwd === undefined ? {} : { cwd }),
    ...debugfsEnvironment(env),
  })
  signal.throwIfAborted()
  if (result.failed) throw unreadableDisk(`debugfs failed: ${result.shortMessage}`, result)
  requireQuiet(filesystem, Buffer.from(result.stderr).toString())
  return result
}

/** debugfs always exits with 0; anything it prints other than its version is a complaint. */
function requireQuiet(filesystem: string, said: string): void {
  const complaint = said.split('\n').find((line) => line !== '' && !/^debugfs \d/.test(line))
  if (complaint !== undefined) {
    throw unreadableDisk(`the filesystem ${filesystem} cannot be read: debugfs says: ${complaint}`)
  }
}

function readAnswers(filesystem: string, text: string): Answers {
  let place = 0
  const fail = (expected: string) => {
    throw unreadableDisk(
      `the filesystem ${filesystem} cannot be read: debugfs printed ${JSON.stringify(text.slice(place, place + 80))} instead of ${expected}`,
    )
  }
  return {
    text,
    begin: (request) => {
      const line = `debugfs: ${request}\n`
      if (!text.startsWith(line, place)) fail(JSON.stringify(line))
      place += line.length
    },
    take: (pattern) => {
      pattern.lastIndex = place
      const found = pattern.exec(text) ?? undefined
      if (found !== undefined) place = pattern.lastIndex
      return found
    },
    takeBytes: (count) => {
      if (place + count > text.length) fail(`${count} bytes`)
      place += count
      return text.slice(place - count, place)
    },
    end: () => {
      if (place !== text.length) fail('nothing more')
    },
  }
}

/** Splits debugfs's output into files, by their sizes. */
function cutContent(
  requests: readonly ContentRequest[],
  onChunk: (request: ContentRequest, bytes: Buffer) => void,
) {
  let index = 0
  let header = Buffer.alloc(0)
  let missing = 0
  const headerOf = (request: ContentRequest) => Buffer.from(`debugfs: cat <${request.inode}>\n`)
  const wrong = (request: ContentRequest | undefined) =>
    unreadableDisk(`the content of inode ${request?.inode} does not have the size that the inode says`)
  return {
    push: (chunk: Buffer) => {
      let rest = chunk
      while (rest.length > 0) {
        const request = requests[index]
        if (request === undefined) throw wrong(requests.at(-1))
        if (missing === 0) {
          const expected = headerOf(request)
          const needed = expected.length - header.length
          header = Buffer.concat([header, rest.subarray(0, needed)])
          rest = rest.subarray(needed)
          if (!expected.subarray(0, header.length).equals(header)) throw wrong(requests[index - 1] ?? request)
          if (header.length < expected.length) return
          header = Buffer.alloc(0)
          missing = request.sizeBytes
          continue
        }
        const part = rest.subarray(0, missing)
        onChunk(request, part)
        missing -= part.length
        rest = rest.subarray(part.length)
        if (missing === 0) index += 1
      }
    },
    end: () => {
      if (index < requests.length) throw wrong(requests[index])
    },
  }
}
