/** A package set in which one package is replaced by a different file with the same name and version, consistent in itself. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import {
  debOf,
  indexFileOf,
  releaseFileOf,
  renderSet,
  type SetArchive,
  type SetContent,
  setFile,
} from '../../src/debian/package-set.ts'
import { sha256 } from '../../src/digest.ts'
import { runGpg } from './gpg.ts'

/** Makes an archive signing key, and a keyring with this key and those of another keyring. */
export function makeArchiveKey(home: string, keyring: string, besides: string): void {
  runGpg(home, ['--quick-generate-key', 'archive@example.org', 'ed25519', 'sign', 'never'])
  const own = join(home, 'own.gpg')
  runGpg(home, ['--output', own, '--export'])
  writeFileSync(keyring, Buffer.concat([readFileSync(besides), readFileSync(own)]))
}

/**
 * Replaces a package in a set, then lists and signs it in place of the genuine one.
 * @param home GnuPG home of the key that signs
 * @param change what to do with the package's tree
 * @returns the checksum of the set's list
 */
export function exchangePackage(
  set: string,
  home: string,
  name: string,
  change: (tree: string) => void,
): string {
  const content: SetContent = JSON.parse(readFileSync(join(set, setFile), 'utf8'))
  const genuine = content.packages.find((one) => one.name === name)
  if (genuine === undefined) throw new Error(`the set has no ${name}`)
  const file = join(set, debOf(genuine))
  const bytes = packAnew(file, change)
  // The set may consist of links to files elsewhere.
  rmSync(file)
  writeFileSync(file, bytes)
  const exchanged = { ...genuine, sha256: sha256(bytes), sizeBytes: bytes.length }
  const archives = content.archives.map((archive): SetArchive => {
    const indexes = archive.indexes.map((digest) => {
      const text = gunzipSync(readFileSync(join(set, indexFileOf(digest)))).toString('latin1')
      if (!text.includes(`\nSHA256: ${genuine.sha256}\n`)) return { digest, bytes: undefined }
      const listed = listAnew(text, genuine.sha256, exchanged)
      rmSync(join(set, indexFileOf(digest)))
      writeFileSync(join(set, indexFileOf(sha256(listed))), gzipSync(listed))
      return { digest: sha256(listed), bytes: listed }
    })
    const other = indexes.find((index) => index.bytes !== undefined)?.bytes
    if (other === undefined) return archive
    const signed = signAnew(readFileSync(join(set, releaseFileOf(archive.sha256)), 'utf8'), home, {
      path: `main/binary-${archive.architecture}/Packages`,
      bytes: other,
    })
    rmSync(join(set, releaseFileOf(archive.sha256)))
    writeFileSync(join(set, releaseFileOf(sha256(signed))), signed)
    return { ...archive, sha256: sha256(signed), indexes: indexes.map(({ digest }) => digest) }
  })
  const packages = content.packages.map((one) => (one === genuine ? exchanged : one))
  const text = renderSet({ archives, packages })
  writeFileSync(join(set, setFile), text)
  return sha256(text)
}

// --- internal ---

function packAnew(file: string, change: (tree: string) => void): Buffer {
  const work = mkdtempSync(`${file}-`)
  try {
    const tree = join(work, 'tree')
    execFileSync('dpkg-deb', ['--raw-extract', file, tree])
    change(tree)
    execFileSync('dpkg-deb', ['--root-owner-group', '--build', tree, join(work, 'new.deb')])
    return readFileSync(join(work, 'new.deb'))
  } finally {
    rmSync(work, { recursive: true })
  }
}

/** The index with other checksums in one stanza. */
function listAnew(
  index: string,
  genuine: string,
  exchanged: { readonly sha256: string; readonly sizeBytes: number },
): Buffer {
  const stanzas = index.split('\n\n').map((stanza) => {
    if (!stanza.includes(`\nSHA256: ${genuine}`)) return stanza
    return stanza
      .replace(/\nMD5sum: .*/, '')
      .replace(/\nSize: .*/, `\nSize: ${exchanged.sizeBytes}`)
      .replace(/\nSHA256: .*/, `\nSHA256: ${exchanged.sha256}`)
  })
  return Buffer.from(stanzas.join('\n\n'), 'latin1')
}

/** A Release file with the same fields, and one index. */
function signAnew(
  signed: string,
  home: string,
  { path, bytes }: { readonly path: string; readonly bytes: Buffer },
): Buffer {
  const fields = signed
    .split('\n')
    .filter((line) => /^(Origin|Label|Suite|Codename|Date|Architectures|Components): /.test(line))
  const text = [...fields, 'SHA256:', ` ${sha256(bytes)} ${bytes.length} ${path}`, ''].join('\n')
  return Buffer.from(runGpg(home, ['--clearsign'], text))
}
