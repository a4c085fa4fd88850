/** Node's writers, whose errors also name the file: a full disk has no path in its error, and the user would not know which. */

import { createWriteStream as createStream, type WriteStream } from 'node:fs'
import { writeFile as write } from 'node:fs/promises'

/** For `catch`. @throws the error, with this path unless it has one */
export function namePath(path: string): (error: unknown) => never {
  return (error) => {
    throw withPath(error, path)
  }
}

export async function writeFile(...words: Parameters<typeof write>): Promise<void> {
  const [path] = words
  await write(...words).catch(namePath(`${path}`))
}

export function createWriteStream(...words: Parameters<typeof createStream>): WriteStream {
  // Before any other listener gets it.
  return createStream(...words).prependListener('error', (error) => void withPath(error, `${words[0]}`))
}

// --- internal ---

function withPath(error: unknown, path: string): unknown {
  if (error instanceof Error && 'syscall' in error && !('path' in error)) Object.assign(error, { path })
  return error
}
