/** Parts of files that must never be shown, even if they changed. */

import { sha256 } from '../digest.ts'

/** Files whose lines have a password hash in the second field, or a letter that says it is stored elsewhere. */
const passwordFile = /^\/etc\/(?:g?shadow|passwd|group)-?$|^\/etc\/security\/opasswd$/

/** Files that are secret as a whole. */
const secretFile =
  /\/(?:chap-secrets|pap-secrets|[^/]*\.secrets|\.netrc|\.pgpass|\.htpasswd|htpasswd|[^/]*\.keytab|credential\.secret|passwords\.dat|random-seed)$/

/** The body of a key, up to its end or, if it is truncated, the end of the text. */
const privateKey = /(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)([\s\S]*?)(?=-----END |$(?![\s\S]))/g

/** A setting whose name says that its value is secret. A yes or no is not a secret. */
const secretSetting =
  /\b((?:(?:private|preshared|secret|api)[_-]?key|secret|token|psk)[ \t]*=[ \t]*|pass(?:word|phrase)[ \t]*[=:][ \t]*)(["']?)(?!(?:yes|no|true|false|none|<secret)\b)([^\s"'#]+)/gi

/** Hashes in the formats of crypt(5) and GRUB. */
const passwordHash =
  /\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1)\$[./A-Za-z0-9=,$*]{8,}|grub\.pbkdf2\.sha512\.[0-9A-Fa-f.]+/g

/** Whether only the size and digest of a file may be shown. */
export function isSecret(path: string): boolean {
  return secretFile.test(path)
}

/** Replaces each secret in a text with a mask; different secrets get different masks. */
export function maskSecrets(path: string, text: string): string {
  const fields = passwordFile.test(path) ? text.split('\n').map(maskPassword).join('\n') : text
  return fields
    .replace(privateKey, (_, begin: string, body: string) => `${begin}\n${mark(body)}\n`)
    .replace(passwordHash, mark)
    .replace(secretSetting, (_, name: string, quote: string, value: string) => name + quote + mark(value))
}

// --- internal ---

/** Keeps whether an account is locked or has no password: that is not secret, and it matters. */
function maskPassword(line: string): string {
  return line.replace(/^([^:]*:)([!*]*)([^:]+)/, (_, name: string, locked: string, hash: string) =>
    /^[!*x]*$/.test(hash) ? `${name}${locked}${hash}` : `${name}${locked}${mark(hash)}`,
  )
}

function mark(secret: string): string {
  return `<secret ${sha256(secret).slice(0, 8)}>`
}
