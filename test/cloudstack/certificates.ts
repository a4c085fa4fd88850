/** A certificate authority of a test's own, as the management server has one. */

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Authority {
  /** PEM. */
  readonly certificate: string
  /** Signs a request. Returns PEM. */
  readonly sign: (request: string) => string
}

export function makeAuthority(folder: string): Authority {
  const [key, certificate] = [join(folder, 'ca.key'), join(folder, 'ca.crt')]
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=ca',
    '-keyout',
    key,
    '-out',
    certificate,
  )
  return {
    certificate: readFileSync(certificate, 'utf8').trim(),
    sign: (request) => {
      const file = join(folder, 'request.csr')
      writeFileSync(file, request)
      const words = ['-in', file, '-CA', certificate, '-CAkey', key, '-CAcreateserial', '-days', '30']
      return openssl('x509', '-req', ...words).trim()
    },
  }
}

/** A PEM text in one word, as the management server sends it. */
export function encodePem(text: string): string {
  return text.trim().replaceAll('\n', '^').replaceAll(' ', '~')
}

function openssl(...words: readonly string[]): string {
  return execFileSync('openssl', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}
