import { expect, it } from 'vitest'
import { saysAbsent } from '../../../src/store/registry.ts'

it.each([
  // From docker-registry, said by skopeo 1.9 of Debian 12, then by 1.13 of Ubuntu 24.04 and 1.18 of Debian 13.
  'Error listing repository tags: fetching tags list: invalid status code from registry 404 (Not Found)',
  'Error listing repository tags: fetching tags list: repository name not known to registry',
  // From registries with words of their own, with a code of their own, and without JSON.
  "Error listing repository tags: fetching tags list: name unknown: The repository with name 'layers' does not exist",
  'Error listing repository tags: fetching tags list: unknown: repository test/layers not found',
  'Error listing repository tags: fetching tags list: StatusCode: 404, "<html>\\n<head><title>Error</title></head>"',
])('a repository is absent: %s', (message) => {
  expect(saysAbsent(message)).toBe(true)
})

it.each([
  'Error listing repository tags: fetching tags list: denied: requested access to the resource is denied',
  'Error listing repository tags: pinging container registry 127.0.0.1:40404: Get "http://127.0.0.1:40404/v2/": dial tcp 127.0.0.1:40404: connect: connection refused',
])('what is not known is not absent: %s', (message) => {
  expect(saysAbsent(message)).toBe(false)
})
