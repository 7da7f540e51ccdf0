import { readFile } from 'node:fs/promises'
import type { Command, Option } from 'commander'
import { unknownName } from '../checks.ts'
import { DataError, describe, FileError, OptionError } from '../errors.ts'
import { optionHints } from './synonyms.ts'

/**
 * Options from a file of JSON, under their names in camelCase: { "target": "price", "hidden": [128, 64] }. Those of the command line win.
 *
 * @throws FileError if it cannot be read, DataError if it is no JSON, OptionError for an unknown name, or a value that does not fit.
 */
export async function readConfig(command: Command, path: string): Promise<void> {
  const config = await parsed(path)
  const options = new Map(command.options.map((option) => [option.attributeName(), option]))
  options.delete('config')
  const known = [...options.keys()]
  for (const [name, value] of Object.entries(config)) {
    const option = options.get(name)
    if (option === undefined) throw unknownName('option', name, known, path, optionHints(known))
    const made = valueFor(option, value, path)
    if (command.getOptionValueSource(name) !== 'cli') command.setOptionValueWithSource(name, made, 'config')
  }
}

async function parsed(path: string): Promise<object> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new FileError(`--config: cannot read "${path}": ${code === 'ENOENT' ? 'there is no such file' : message}.`, { cause: error })
  }
  let config: unknown
  try {
    config = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw new DataError(`${path}: expected JSON: ${(error as Error).message}.`, { cause: error })
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new DataError(`${path}: expected an object of options, such as { "target": "price", "epochs": 30 }, got ${describe(config)}.`)
  return config
}

/** A value as the same text on the command line would have given it. */
function valueFor(option: Option, value: unknown, path: string): unknown {
  const refuse = (expected: string) => new OptionError(`${path}: ${option.attributeName()}: ${expected}, got ${describe(value)}.`)
  if (option.isBoolean() || option.negate) {
    if (typeof value !== 'boolean') throw refuse('expected true or false')
    return value
  }
  const isPlain = (one: unknown) => typeof one === 'string' || typeof one === 'number'
  if (!(isPlain(value) || (Array.isArray(value) && value.every(isPlain)))) throw refuse('expected text, a number, or an array of them')
  if (option.argChoices !== undefined && !option.argChoices.includes(String(value)))
    throw refuse(`expected one of ${option.argChoices.join(', ')}`)
  // What may be given several times takes each value by itself; everything else is one text, lists with commas in it.
  const texts = Array.isArray(value) ? (option.variadic || isRepeated(option) ? value.map(String) : [value.join(',')]) : [String(value)]
  try {
    return texts.reduce<unknown>((before, text) => (option.parseArg ? option.parseArg(text, before) : text), undefined)
  } catch (error) {
    throw refuse((error as Error).message.replace(/\.$/, '').replace(/^E/, 'e'))
  }
}

/** Whether a parser collects what it is given. */
function isRepeated({ parseArg }: Option): boolean {
  return (parseArg?.length ?? 0) > 1
}
