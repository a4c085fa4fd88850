/** A jar that stands for CloudStack's agent: it says what it was told, and stays. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** File of the guest that the stand-in writes its arguments to, one a line. */
export const agentWords = '/run/agent-words'

const source = `package com.cloud.agent;
public class AgentShell {
  public static void main(String[] words) throws Exception {
    java.nio.file.Files.write(java.nio.file.Paths.get("${agentWords}"), java.util.Arrays.asList(words));
    Thread.sleep(Long.MAX_VALUE);
  }
}
`

/** Compiles it for Java 17 and newer. Needs a JDK. Returns the jar's path. */
export function makeStandIn(folder: string): string {
  const [classes, jar] = [join(folder, 'classes'), join(folder, 'cloud-agent.jar')]
  mkdirSync(classes, { recursive: true })
  const file = join(folder, 'AgentShell.java')
  writeFileSync(file, source)
  execFileSync('javac', ['--release', '17', '-d', classes, file])
  execFileSync('jar', ['--create', '--file', jar, '-C', classes, '.'])
  return jar
}
