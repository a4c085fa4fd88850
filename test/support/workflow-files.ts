/** Workflows and actions as written, and GitHub's expressions in them. */

import { readFileSync } from 'node:fs'
import { data, Evaluator, Lexer, Parser } from '@actions/expressions'
import { parse } from 'yaml'

export interface Step {
  readonly id?: string
  readonly name?: string
  readonly if?: string
  readonly uses?: string
  readonly run?: string
  readonly shell?: string
  readonly env?: Readonly<Record<string, unknown>>
  readonly with?: Readonly<Record<string, unknown>>
}

export interface Job {
  readonly needs?: string
  readonly if?: string
  readonly uses?: string
  readonly with?: Readonly<Record<string, unknown>>
  readonly permissions?: Readonly<Record<string, string>>
  readonly outputs?: Readonly<Record<string, string>>
  readonly strategy?: { readonly matrix: unknown }
  readonly 'timeout-minutes'?: number
  readonly steps?: readonly Step[]
}

export interface Inputs {
  readonly [name: string]: { readonly default?: unknown; readonly required?: boolean }
}

export interface Workflow {
  readonly name: string
  readonly on: Readonly<
    Record<string, { readonly inputs?: Inputs; readonly branches?: readonly string[] } | null>
  >
  readonly permissions?: Readonly<Record<string, string>>
  readonly concurrency?: unknown
  readonly jobs: Readonly<Record<string, Job>>
}

export interface Action {
  readonly inputs: Inputs
  readonly runs: { readonly using: string; readonly steps: readonly Step[] }
}

export function readYaml<Document>(path: string): Document {
  return parse(readFileSync(path, 'utf8')) as Document
}

/** Contexts that expressions may name: `github`, `inputs`, … */
export type Contexts = Readonly<Record<string, unknown>>

const names = ['github', 'inputs', 'matrix', 'needs', 'steps', 'runner', 'env', 'secrets', 'vars']

/** The value of an expression, from GitHub's own evaluator. */
export function evaluate(
  expression: string,
  contexts: Contexts,
  status: 'success' | 'failure' = 'success',
): unknown {
  const answer = (name: string, is: boolean) => ({
    name,
    minArgs: 0,
    maxArgs: 0,
    call: () => new data.BooleanData(is),
  })
  const functions = [
    answer('always', true),
    answer('success', status === 'success'),
    answer('failure', status === 'failure'),
  ]
  const { tokens } = new Lexer(expression).lex()
  const parsed = new Parser(tokens, names, functions).parse()
  const all = Object.fromEntries(names.map((name) => [name, contexts[name] ?? {}]))
  const context = JSON.parse(JSON.stringify(all), data.reviver) as data.Dictionary
  const map = new Map(functions.map((one) => [one.name, one]))
  const value = new Evaluator(parsed, context, map).evaluate()
  return JSON.parse(JSON.stringify(value, data.replacer))
}

/** A value with its expressions filled in; a value that is entirely an expression keeps its type. */
export function fill(value: unknown, contexts: Contexts): unknown {
  if (typeof value !== 'string') return value
  const whole = /^\$\{\{((?:(?!\}\}).)*)\}\}$/s.exec(value.trim())?.[1]
  if (whole !== undefined) return evaluate(whole.trim(), contexts)
  return value.replaceAll(/\$\{\{(.*?)\}\}/gs, (_match, inner: string) => {
    const found = evaluate(inner.trim(), contexts)
    return found === null ? '' : String(found)
  })
}

/** The same as text, as in an environment variable or an input of an action. */
export function fillText(value: unknown, contexts: Contexts): string {
  const found = fill(value, contexts)
  return found === null || found === undefined ? '' : String(found)
}

/** Whether a step or a job is to run: without a condition of its own, if everything has succeeded. */
export function isWanted(
  condition: string | undefined,
  contexts: Contexts,
  status: 'success' | 'failure',
): boolean {
  if (condition === undefined) return status === 'success'
  const expression = condition.replace(/^\$\{\{(.*)\}\}$/s, '$1').trim()
  const saysWhen = /\b(always|success|failure|cancelled)\(/.test(expression)
  const isTrue = isTruthy(evaluate(expression, contexts, status))
  return isTrue && (saysWhen || status === 'success')
}

function isTruthy(value: unknown): boolean {
  return value !== false && value !== null && value !== '' && value !== 0
}
