/** The class of a management server that reads `metadata.ini` when a database is upgraded, compiled from its sources. */

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'

const harness = fileURLToPath(new URL('./readers/com/cloud/upgrade/ReadMetadata.java', import.meta.url))
const cache = fileURLToPath(new URL('../../out/cache/cloudstack', import.meta.url))

/** What the class needs beside CloudStack's own sources, and a compiler that goes on where others are missing. */
const libraries = [
  'org.ini4j:ini4j:0.5.4',
  'org.apache.commons:commons-lang3:3.11',
  'commons-codec:commons-codec:1.15',
  'com.google.guava:guava:31.1-jre',
  'org.apache.logging.log4j:log4j-core:2.19.0',
  'org.slf4j:slf4j-nop:1.7.36',
  'javax.inject:javax.inject:1',
  'com.google.code.gson:gson:2.10.1',
  'commons-io:commons-io:2.8.0',
  'javax.persistence:javax.persistence-api:2.2',
  'cglib:cglib-nodep:3.3.0',
  'org.eclipse.jdt:ecj:3.33.0',
] as const

/** Where the class and the file lie that it reads. */
export const ownClass = 'engine/schema/src/main/java/com/cloud/upgrade/SystemVmTemplateRegistration.java'
export const templatesFolder = 'engine/schema/dist/systemvm-templates'

/** What a management server says of a hypervisor and an architecture (`KVM/x86_64`). */
export interface ServerVerdict {
  /** `accepted`, or why an upgrade would stop. */
  readonly verdict: string
  readonly templateName?: string | undefined
  readonly file?: string | undefined
  readonly url?: string | undefined
  readonly checksum?: string | undefined
  readonly guestOs?: string | undefined
}

/** Why the class cannot be compiled here; undefined where it can. */
export function whyNoServer(source: string): string | undefined {
  if (source === '') return 'CLOUDSTACK_SOURCE names no folder'
  const missing = [ownClass, 'utils/src/main/java', 'api/src/main/java', 'framework/db/src/main/java'].find(
    (path) => !existsSync(join(source, path)),
  )
  if (missing !== undefined) return `${source} has no ${missing}`
  const paths = (process.env.PATH ?? '').split(':')
  const program = ['java', 'mvn'].find((name) => !paths.some((path) => existsSync(join(path, name))))
  return program === undefined ? undefined : `this host has no ${program}`
}

/** Compiles it into `folder`; what it returns runs it in a folder that has {@link templatesFolder}. */
export async function compileServer(source: string, folder: string) {
  const jars = await bringLibraries()
  const roots = await execa('find', [source, '-path', '*/src/main/java', '-prune', '-print'])
  const compiler = jars.find((jar) => jar.includes('/ecj-')) as string
  const options = ['-17', '-proceedOnError', '-nowarn', '-proc:none', '-cp', jars.join(':')]
  const sources = ['-sourcepath', roots.stdout.split('\n').join(':')]
  await execa(
    'java',
    ['-jar', compiler, ...options, ...sources, '-d', folder, harness],
    // It has much to say of everything that is missing. Methods that need any of it say so when they are called.
    { reject: false, timeout: 600_000 },
  )
  writeFileSync(
    join(folder, 'log4j2.xml'),
    '<Configuration><Loggers><Root level="off"/></Loggers></Configuration>\n',
  )
  const classes = [...jars.filter((jar) => jar !== compiler), folder].join(':')
  return async (cwd: string, ...asked: string[]) => {
    const words = ['-cp', classes, 'com.cloud.upgrade.ReadMetadata', ...asked]
    const { stdout } = await execa('java', words, { cwd, timeout: 120_000 })
    return parseVerdicts(stdout)
  }
}

function parseVerdicts(text: string) {
  const [first = '', ...rest] = text.split('\n')
  const [, version, parsed] = first.split('\t')
  const verdicts = rest.map((line) => {
    const [asked = '', verdict = '', templateName, file, url, checksum, guestOs] = line.split('\t')
    return [asked, { verdict, templateName, file, url, checksum, guestOs }] as const
  })
  return { version, parsed, verdicts: Object.fromEntries<ServerVerdict>(verdicts) }
}

/** The jars, brought once for all runs. */
async function bringLibraries(): Promise<readonly string[]> {
  const folder = join(cache, 'jars')
  if (!existsSync(folder)) {
    const work = `${folder}.${process.pid}`
    mkdirSync(work, { recursive: true })
    try {
      writeFileSync(join(work, 'pom.xml'), renderPom())
      const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${join(work, 'jars')}`]
      await execa('mvn', ['-q', '-B', ...goal], { cwd: work, timeout: 600_000 })
      renameSync(join(work, 'jars'), folder)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  return readdirSync(folder).map((name) => join(folder, name))
}

function renderPom(): string {
  const dependencies = libraries.map((library) => {
    const [group, artifact, version] = library.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
  })
  const own = '<groupId>judge</groupId><artifactId>judge</artifactId><version>1</version>'
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>${own}<dependencies>${dependencies.join('')}</dependencies></project>\n`
}
