/**
 * Who pushed a layer. A registry accepts anything from anyone who can write to it, so the manifest of an artifact carries a
 * signature as an annotation. It covers the layer's key and the digests of both blobs, which is all that the manifest
 * otherwise contains.
 *
 * Made by OpenSSH, not by skopeo: Debian's skopeo is built without sigstore signatures, and its OpenPGP signatures need a
 * second server.
 */

import { type SshTrust, signWithSsh, verifySsh } from '../host/ssh-signature.ts'
import { writeFile } from '../host/writing.ts'
import type { LayerKey } from './layer-key.ts'

/** Name of the annotation. */
export const signatureAnnotation = 'systemvm-image.layer.signature'

/** What is signed. */
export interface SignedLayer {
  readonly key: LayerKey
  /** Digests of the blobs, as `sha256:<hex>`. */
  readonly record: string
  readonly disk: string
}

/** @param key path of an SSH key @throws PipelineError `signing-failed`, `tools` */
export function signLayer(layer: SignedLayer, key: string): Promise<string> {
  return signWithSsh(render(layer), namespace, key)
}

/**
 * Returns who signed it, or why that is unknown.
 * @param path where a file may be written
 * @throws PipelineError `tools`
 */
export async function verifyLayer(
  layer: SignedLayer,
  signature: string | undefined,
  trust: SshTrust,
  path: string,
): Promise<{ readonly signedBy: string } | { readonly fault: string }> {
  if (signature === undefined) return { fault: 'it is not signed' }
  await writeFile(path, signature)
  const { signers, fault } = await verifySsh({ content: render(layer), signature: path, namespace }, trust)
  const [signedBy] = signers
  return signedBy === undefined ? { fault: `its signature is refused: ${fault}` } : { signedBy }
}

// --- internal ---

const namespace = 'systemvm-image-layer'

function render({ key, record, disk }: SignedLayer): string {
  return `layer ${key}\nrecord ${record}\ndisk ${disk}\n`
}
