/** An OCI registry that stores layers, accessed through skopeo, which handles registries, tokens and logins. */

import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { execa } from '../host/execa.ts'
import { isNoSpace } from '../host/failures.ts'
import { withinLimit } from '../host/within-limit.ts'
import { parseJson } from '../text.ts'

/** A repository in a registry. */
export interface Registry {
  /** `registry.example:5000/some/path` */
  readonly reference: string
  /** Tags of the repository; empty if it does not exist yet. @throws RegistryFault */
  readonly list: (signal: AbortSignal) => Promise<readonly string[]>
  /** Pushes an artifact, a folder in skopeo's `dir` layout, under a tag. @throws RegistryFault */
  readonly push: (folder: string, tag: string, signal: AbortSignal) => Promise<void>
  /** Pulls an artifact into a folder. @throws RegistryFault, and PipelineError `disk-full` */
  readonly pull: (tag: string, folder: string, signal: AbortSignal) => Promise<void>
}

/** A registry that is down, slow, or refuses us; with its message, in one line. */
export class RegistryFault extends Error {}

const repository =
  /^(?<host>[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?<port>:\d+)?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)+$/

/** A registry sends its tags page by page, and may never send a last one. */
const listSeconds = 120

/**
 * @param reference as typed by a person, without a tag
 * @param patienceSeconds for the list of tags
 * @throws PipelineError `bad-reference`
 */
export function openRegistry(reference: string, patienceSeconds = listSeconds): Registry {
  const { host } = repository.exec(reference)?.groups ?? {}
  if (host === undefined) throw badReference(reference)
  // Loopback addresses have no certificates.
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host)
  const remote = (tag: string) => `docker://${reference}:${tag}`
  const tls = (side: '' | 'src-' | 'dest-') => `--${side}tls-verify=${!isLoopback}`
  return {
    reference,
    list: async (signal) => {
      try {
        const words = ['list-tags', tls(''), `docker://${reference}`]
        const text = await withinLimit(
          patienceSeconds * 1000,
          signal,
          (within) => skopeo(words, within),
          () => new RegistryFault(`its list of tags has not ended after ${patienceSeconds} s`),
        )
        const { data } = tagList.safeParse(parseJson(text))
        if (data === undefined) throw new RegistryFault('its list of tags has a different format')
        return data.Tags ?? []
      } catch (error) {
        if (error instanceof RegistryFault && saysAbsent(error.message)) return []
        throw error
      }
    },
    push: async (folder, tag, signal) => {
      const words = ['copy', '--quiet', '--preserve-digests', tls('dest-'), `dir:${folder}`, remote(tag)]
      await skopeo(words, signal)
    },
    pull: async (tag, folder, signal) => {
      const words = ['copy', '--quiet', tls('src-'), remote(tag), `dir:${folder}`]
      await skopeo(words, signal).catch((error: unknown) => {
        // The registry's own disk may be full too, but it cannot know the folder.
        throw isNoSpace(error) && messageOf(error).includes(folder) ? fullDisk(folder) : error
      })
    },
  }
}

/**
 * Whether skopeo's message is that a repository does not exist: Debian 12's has the status of the response, later ones have the
 * words of the registry.
 */
export function saysAbsent(message: string): boolean {
  return /\b404\b|name unknown|name not known|not found/i.test(message)
}

// --- internal ---

/**
 * What skopeo may copy, in the format of containers-policy.json(5), instead of the host's own rules. They cannot judge our
 * signatures: `layer-signature.ts` does that, on the copy.
 */
const policy = fileURLToPath(new URL('./skopeo-policy.json', import.meta.url))
/** skopeo's output about a repository; only tags that are keys matter. */
const tagList = z.object({ Tags: z.array(z.string()).nullable() })

async function skopeo(words: readonly string[], signal: AbortSignal): Promise<string> {
  const result = await execa('skopeo', ['--policy', policy, ...words], {
    reject: false,
    stdin: 'ignore',
    cancelSignal: signal,
    forceKillAfterDelay: 2000,
  })
  if (signal.aborted) throw signal.reason
  if (result.exitCode === 0) return result.stdout
  if (result.code === 'ENOENT') {
    throw new RegistryFault('this host has no skopeo (apt-get install skopeo)')
  }
  throw new RegistryFault(lastMessage(result.stderr ?? '') ?? result.shortMessage ?? 'skopeo failed')
}

/** skopeo reports errors in its last line, as `time=… level=fatal msg="…"`. */
function lastMessage(stderr: string): string | undefined {
  const line = stderr.trim().split('\n').at(-1) ?? ''
  const message = /\bmsg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]
  return (message === undefined ? line : message.replaceAll(/\\(.)/g, '$1')) || undefined
}

function fullDisk(folder: string): PipelineError {
  return new PipelineError({
    code: 'disk-full',
    message: `the disk that holds ${folder} is full`,
    hint: 'free some space there, and run the command again.',
    exitCode: exitCodes.hostNotFit,
  })
}

function badReference(reference: string): PipelineError {
  const isNamed = /@|\/\//.test(reference)
  return new PipelineError({
    code: 'bad-reference',
    // It may contain a password.
    message: `${isNamed ? 'this' : JSON.stringify(reference)} is not a registry repository`,
    hint: 'it looks like ghcr.io/owner/name: in lower case, without a scheme, a login, a tag or a digest; log in with: skopeo login',
    exitCode: exitCodes.badInput,
  })
}
