/** What must not be shown of a file, however much one wants to see what changed in it. */

import { sha256 } from '../digest.ts'

/** Files with a hash of a password in the second field of a line, or a letter that stands for one elsewhere. */
const passwordFile = /^\/etc\/(?:g?shadow|passwd|group)-?$|^\/etc\/security\/opasswd$/

/** Files that are secrets as a whole, whatever is in them. */
const secretFile =
  /\/(?:chap-secrets|pap-secrets|[^/]*\.secrets|\.netrc|\.pgpass|\.htpasswd|htpasswd|[^/]*\.keytab|credential\.secret|passwords\.dat|random-seed)$/

/** The body of a key, up to its end or, of one that is cut short, that of the text. */
const privateKey = /(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)([\s\S]*?)(?=-----END |$(?![\s\S]))/g

/** A setting that is named for its secret. An answer of yes or no is none. */
const secretSetting =
  /\b((?:(?:private|preshared|secret|api)[_-]?key|secret|token|psk)[ \t]*=[ \t]*|pass(?:word|phrase)[ \t]*[=:][ \t]*)(["']?)(?!(?:yes|no|true|false|none|<secret)\b)([^\s"'#]+)/gi

/** A hash as crypt(5) has them, and GRUB's own. */
const passwordHash =
  /\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1)\$[./A-Za-z0-9=,$*]{8,}|grub\.pbkdf2\.sha512\.[0-9A-Fa-f.]+/g

/** Whether nothing of a file may be shown but its size and digest. */
export function isSecret(path: string): boolean {
  return secretFile.test(path)
}

/** A text with its secrets replaced by a mark that differs where they differ. */
export function maskSecrets(path: string, text: string): string {
  const fields = passwordFile.test(path) ? text.split('\n').map(maskPassword).join('\n') : text
  return fields
    .replace(privateKey, (_, begin: string, body: string) => `${begin}\n${mark(body)}\n`)
    .replace(passwordHash, mark)
    .replace(secretSetting, (_, name: string, quote: string, value: string) => name + quote + mark(value))
}

// --- internal ---

/** An account that is locked, or has no password, has nothing to hide, and it matters that it is so. */
function maskPassword(line: string): string {
  return line.replace(/^([^:]*:)([!*]*)([^:]+)/, (_, name: string, locked: string, hash: string) =>
    /^[!*x]*$/.test(hash) ? `${name}${locked}${hash}` : `${name}${locked}${mark(hash)}`,
  )
}

function mark(secret: string): string {
  return `<secret ${sha256(secret).slice(0, 8)}>`
}
