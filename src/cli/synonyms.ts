/** Options by the names that other programs give them. */
import type { Command } from 'commander'
import type { Hints } from '../checks.ts'

/** In camelCase, and what they are called here. */
const synonyms: Readonly<Record<string, string>> = {
  lr: 'learningRate',
  rate: 'learningRate',
  wd: 'weightDecay',
  l2: 'weightDecay',
  bs: 'batchSize',
  batch: 'batchSize',
  iterations: 'epochs',
  layers: 'hidden',
  units: 'hidden',
  ensemble: 'members',
  label: 'target',
  y: 'target',
  drop: 'ignore',
  exclude: 'ignore',
  output: 'out',
  save: 'out',
  cv: 'folds',
  holdout: 'test',
  testSplit: 'test',
  validationSplit: 'validation',
  score: 'metric',
  jobs: 'workers',
}

/** For a file of options: what an unknown name may mean. */
export function optionHints(known: readonly string[]): Hints {
  const entries = Object.entries(synonyms).filter(([, name]) => known.includes(name))
  return Object.fromEntries(entries.map(([synonym, name]) => [synonym, `did you mean "${name}"?`]))
}

/** A message of commander about an unknown option, which suggests names that are written alike, with the one that means the same if there is one. */
export function withSynonym({ options }: Command, message: string): string {
  const [quoted, flag] = /unknown option '-+([^'=]+)[^']*'/.exec(message) ?? []
  if (flag === undefined) return message
  const name = flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
  const meant = options.find((option) => option.attributeName() === synonyms[name])
  return meant === undefined ? message : `${quoted} (Did you mean ${meant.long}?)`
}
