/**
 * Which SBOMs can be validated at all: CycloneDX's validator may take any amount of time for a hostile one, and nothing can
 * interrupt it.
 */

/** Undefined if it can be validated; otherwise, what there is too much of. */
export function excessOf(bill: unknown): string | undefined {
  const { comparedCharacters } = weigh(bill, mostLevels)
  if (comparedCharacters <= mostCompared) return undefined
  return Number.isFinite(comparedCharacters)
    ? `validating it means comparing ${comparedCharacters} characters; the limit is ${mostCompared}`
    : `it has more than ${mostLevels} levels`
}

// --- internal ---

/** Real ones have ten. */
const mostLevels = 100

/** Takes seconds. Six hundred packages with a thousand characters each need a tenth of it. */
const mostCompared = 4e9

/**
 * Comparing two items takes as long as comparing this many characters, however short they are: ten thousand items took 39 s.
 */
const charactersOfPair = 500

interface Weight {
  readonly characters: number
  readonly comparedCharacters: number
}

/** Items of a list must be unique, so each is compared with every other. */
function weigh(value: unknown, levels: number): Weight {
  if (typeof value !== 'object' || value === null)
    return { characters: String(value).length, comparedCharacters: 0 }
  if (levels === 0) return { characters: 0, comparedCharacters: Number.POSITIVE_INFINITY }
  let characters = 0
  let comparedCharacters = 0
  for (const [key, inner] of Object.entries(value)) {
    const weight = weigh(inner, levels - 1)
    characters += weight.characters + key.length + 1
    comparedCharacters += weight.comparedCharacters
  }
  if (Array.isArray(value))
    comparedCharacters += (characters + charactersOfPair * value.length) * value.length
  return { characters, comparedCharacters }
}
