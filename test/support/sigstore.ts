/**
 * Our own Sigstore on a loopback address, like GitHub's for private repositories: certificates for workflows, and a timestamp
 * authority instead of a public log.
 */

import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bundleToJSON } from '@sigstore/bundle'
import { fulcioHandler, initializeCA, initializeTSA, tsaHandler } from '@sigstore/mock'
import { type Bundle, DSSEBundleBuilder, FulcioSigner, TSAWitness } from '@sigstore/sign'

export interface TestSigstore {
  /** What `gh attestation trusted-root` would print. */
  readonly trustedRoot: string
  /** The bundle for a statement, as a file contains it. @param workflow the name in its certificate */
  readonly attest: (statement: object, workflow: string, issuer?: string) => Promise<string>
  readonly stop: () => Promise<void>
}

export const gitHubIssuer = 'https://token.actions.githubusercontent.com'

export async function startSigstore(): Promise<TestSigstore> {
  const keys = () =>
    generateKeyPairSync('ec', { namedCurve: 'prime256v1' }) as unknown as KeyPairKeyObjectResult
  // After the authorities' certificates are made, and in whole seconds: the library cannot read shortened fractions.
  const now = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000)
  const ca = await initializeCA(keys(), undefined, now)
  const clock = await initializeTSA(keys(), now)
  const handlers = [fulcioHandler(ca, { subjectClaim: 'job_workflow_ref' }), tsaHandler(clock)]
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const handler = handlers.find(({ path }) => path === request.url)
    const answer = await handler?.fn(Buffer.concat(chunks).toString())
    response.writeHead(answer?.statusCode ?? 404, { 'content-type': answer?.contentType ?? 'text/plain' })
    response.end(answer?.response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const base64 = (bytes: Buffer) => bytes.toString('base64')
  const authority = (...certificates: readonly Buffer[]) => ({
    subject: { organization: 'test', commonName: 'test' },
    uri: url,
    certChain: { certificates: certificates.map((bytes) => ({ rawBytes: base64(bytes) })) },
    validFor: { start: '2020-01-01T00:00:00Z' },
  })
  return {
    trustedRoot: JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: [],
      certificateAuthorities: [authority(ca.rootCertificate)],
      ctlogs: [],
      timestampAuthorities: [authority(clock.intCertificate, clock.rootCertificate)],
    }),
    attest: async (statement, workflow, issuer = gitHubIssuer) => {
      const claims = { iss: issuer, sub: workflow, job_workflow_ref: workflow, aud: 'sigstore' }
      const token = ['{"alg":"none"}', JSON.stringify(claims), '']
        .map((part) => Buffer.from(part).toString('base64url'))
        .join('.')
      const builder = new DSSEBundleBuilder({
        signer: new FulcioSigner({ fulcioBaseURL: url, identityProvider: { getToken: async () => token } }),
        witnesses: [new TSAWitness({ tsaBaseURL: url })],
      })
      const bundle: Bundle = await builder.create({
        type: 'application/vnd.in-toto+json',
        data: Buffer.from(JSON.stringify(statement)),
      })
      return `${JSON.stringify(bundleToJSON(bundle))}\n`
    },
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
