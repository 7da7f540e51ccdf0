/** What src/index.ts exports, as its declarations and docstrings say it. pages.ts makes the API reference of it. */
import { relative } from 'node:path'
import ts from 'typescript'

/** One option of a function, or one property of an interface or class. */
export interface Member {
  readonly name: string
  readonly type: string
  /** Its docstring; of an option, without what it says about the default. */
  readonly text: string
  readonly optional: boolean
  readonly default: string | null
  /** Whether it is a number, a string or a truth value, for which there is always a default if it may be left out. */
  readonly isPlain: boolean
  /** `AdamOptions.beta1`, also in what extends AdamOptions. */
  readonly declared: string
}

/** One name: `dense`, `Model.fit`, `losses.huber`. What belongs to a class or a namespace follows it. */
export interface Entry {
  readonly name: string
  readonly kind: 'function' | 'class' | 'interface' | 'type' | 'value' | 'namespace'
  /** Nothing of it is left when a program runs. */
  readonly isType: boolean
  /** Path from the root of the repository. */
  readonly file: string
  readonly code: readonly string[]
  readonly text: string
  readonly parameters: readonly { readonly name: string; readonly text: string }[]
  readonly returns: string
  readonly throws: readonly string[]
  readonly examples: readonly string[]
  readonly members: readonly Member[]
  /** What its code gives options that are absent, as far as it says so in a pattern: `{ momentum = 0 }`. */
  readonly defaults: ReadonlyMap<string, string>
  /** Exported names of the types its options have. */
  readonly optionTypes: readonly string[]
}

/** The compiler's options of this repository. */
export function compilerOptions(root: string): ts.CompilerOptions {
  const { config } = ts.readConfigFile(`${root}/tsconfig.json`, ts.sys.readFile)
  return ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options
}

/** Everything that src/index.ts exports, with the members of classes and namespaces, in order of declaration. */
export function readApi(root: string, program = ts.createProgram([`${root}/src/index.ts`], compilerOptions(root))): Entry[] {
  const checker = program.getTypeChecker()
  const index = program.getSourceFile(`${root}/src/index.ts`)
  const module = index && checker.getSymbolAtLocation(index)
  if (module === undefined) throw new Error(`No module src/index.ts in ${root}.`)

  const resolve = (symbol: ts.Symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)
  const declarationOf = (symbol: ts.Symbol) => symbol.valueDeclaration ?? symbol.declarations?.[0]
  const place = (symbol: ts.Symbol): [string, number] => {
    const declaration = declarationOf(symbol)
    return declaration === undefined ? ['', 0] : [relative(root, declaration.getSourceFile().fileName), declaration.pos]
  }
  // What a folder's index says comes before what its files say.
  const rank = (file: string) => file.replace(/\/index\.ts$/, '/')
  const exported = checker
    .getExportsOfModule(module)
    .map((symbol) => ({ name: symbol.name, symbol: resolve(symbol), place: place(resolve(symbol)) }))
    .sort((a, b) => (a.place[0] === b.place[0] ? a.place[1] - b.place[1] : rank(a.place[0]) < rank(b.place[0]) ? -1 : 1))
  const exportedTypes = new Set(exported.map(({ symbol }) => symbol))
  /** Classes behind `export type`. */
  const typesAlone = new Set(
    checker
      .getExportsOfModule(module)
      .filter((symbol) => symbol.declarations?.some(ts.isTypeOnlyExportDeclaration))
      .map(resolve),
  )

  const textOf = (symbol: ts.Symbol) => ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim()
  const tagsOf = (symbol: ts.Symbol) =>
    symbol.getJsDocTags(checker).map(({ name, text }) => ({ name, text: ts.displayPartsToString(text).trim() }))
  const isPublic = (symbol: ts.Symbol) => {
    const declaration = declarationOf(symbol)
    const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected
    const internal = tagsOf(symbol).some(({ name, text }) => name === 'internal' || text.endsWith('@internal'))
    return declaration !== undefined && !internal && !(ts.getCombinedModifierFlags(declaration) & hidden) && /^\w+$/.test(symbol.name)
  }

  /** A property of a namespace that passes on what is declared elsewhere has its docstring there. */
  const source = (symbol: ts.Symbol): ts.Symbol => {
    const declaration = declarationOf(symbol)
    if (declaration === undefined || textOf(symbol) !== '') return symbol
    const value = ts.isShorthandPropertyAssignment(declaration)
      ? checker.getShorthandAssignmentValueSymbol(declaration)
      : ts.isPropertyAssignment(declaration) && ts.isIdentifier(declaration.initializer)
        ? checker.getSymbolAtLocation(declaration.initializer)
        : undefined
    return value === undefined ? symbol : resolve(value)
  }

  const printType = (type: ts.Type, node?: ts.Node) =>
    checker.typeToString(type, node, ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope)
  /** As it is written, where it is written; otherwise as the compiler finds it. */
  const typeText = (symbol: ts.Symbol) => {
    const declaration = declarationOf(symbol)
    if (declaration === undefined) return printType(checker.getTypeOfSymbol(symbol))
    if (ts.isMethodSignature(declaration) || ts.isMethodDeclaration(declaration)) {
      const parameters = declaration.parameters.map((parameter) => parameter.getText()).join(', ')
      return oneLineType(`(${parameters}) => ${declaration.type?.getText() ?? 'void'}`)
    }
    const written = 'type' in declaration ? (declaration.type as ts.TypeNode | undefined) : undefined
    return oneLineType(written?.getText() ?? printType(checker.getTypeOfSymbol(symbol), declaration))
  }

  const memberOf = (symbol: ts.Symbol, owner: string): Member => {
    const parent = declarationOf(symbol)?.parent
    const isNamed = parent !== undefined && (ts.isInterfaceDeclaration(parent) || ts.isClassDeclaration(parent))
    return {
      name: symbol.name,
      type: typeText(symbol),
      optional: (symbol.flags & ts.SymbolFlags.Optional) !== 0,
      isPlain: isPlain(checker.getNonNullableType(checker.getTypeOfSymbol(symbol))),
      declared: `${(isNamed && parent.name?.text) || owner}.${symbol.name}`,
      ...splitDefault(oneLine(textOf(symbol))),
    }
  }
  const propertiesOf = (type: ts.Type, owner: string) =>
    type
      .getProperties()
      .filter(isPublic)
      .map((property) => memberOf(property, owner))

  /** Parameters as a reader calls them: tuples of rest parameters spread, patterns by the name `options`. */
  const parametersOf = (signature: ts.Signature) =>
    signature.getParameters().flatMap((parameter): { text: string; type: ts.Type; isOptions: boolean }[] => {
      const declaration = declarationOf(parameter) as ts.ParameterDeclaration
      const type = checker.getTypeOfSymbol(parameter)
      if (declaration.dotDotDotToken !== undefined && checker.isTupleType(type)) {
        const { labeledElementDeclarations: labels, elementFlags } = (type as ts.TupleTypeReference).target
        return checker.getTypeArguments(type as ts.TupleTypeReference).map((element, i) => {
          const name = labels?.[i]?.name.getText() ?? `argument${i}`
          const optional = (elementFlags[i] & ts.ElementFlags.Optional) !== 0
          return {
            text: `${name}${optional ? '?' : ''}: ${printType(checker.getNonNullableType(element))}`,
            type: element,
            isOptions: name === 'options',
          }
        })
      }
      const name = ts.isIdentifier(declaration.name) ? declaration.name.text : 'options'
      const { initializer } = declaration
      const isOptional = declaration.questionToken !== undefined || (initializer !== undefined && initializer.getText().length > 20)
      const value = initializer === undefined || isOptional ? '' : ` = ${initializer.getText()}`
      const spread = declaration.dotDotDotToken === undefined ? '' : '...'
      return [{ text: `${spread}${name}${isOptional ? '?' : ''}: ${typeText(parameter)}${value}`, type, isOptions: name === 'options' }]
    })

  const describeCall = (
    name: string,
    signatures: readonly ts.Signature[],
    call = name,
  ): Pick<Entry, 'code' | 'members' | 'optionTypes'> => {
    const members = new Map<string, Member>()
    const optionTypes = new Set<string>()
    const code = signatures.map((signature) => {
      const parameters = parametersOf(signature)
      for (const { type, isOptions } of parameters) {
        if (!isOptions) continue
        const options = checker.getNonNullableType(type)
        const named = options.aliasSymbol ?? options.symbol
        if (exportedTypes.has(named)) optionTypes.add(named.name)
        for (const member of propertiesOf(options, name)) if (!members.has(member.name)) members.set(member.name, member)
      }
      const declared = signature.getDeclaration() as ts.SignatureDeclaration | undefined
      const result = declared?.type === undefined ? printType(signature.getReturnType()) : oneLineType(declared.type.getText())
      return breakLine(
        call,
        parameters.map(({ text }) => text),
        result,
      )
    })
    return { code, members: [...members.values()], optionTypes: [...optionTypes] }
  }

  const documentation = (symbol: ts.Symbol): Pick<Entry, 'text' | 'parameters' | 'returns' | 'throws' | 'examples'> => {
    const tags = tagsOf(symbol)
    const texts = (name: string) => tags.filter((tag) => tag.name === name).map(({ text }) => text)
    return {
      text: textOf(symbol),
      parameters: texts('param').map((text) => ({ name: text.split(/\s/, 1)[0], text: oneLine(text.replace(/^\S+\s*/, '')) })),
      returns: oneLine(texts('returns').join(' ')),
      throws: texts('throws').map(oneLine),
      examples: texts('example').map(indented),
    }
  }

  /** The entry of a symbol and those of what belongs to it. */
  const entriesOf = (name: string, given: ts.Symbol, call = name): Entry[] => {
    const symbol = source(given)
    const declaration = declarationOf(symbol)
    if (declaration === undefined) throw new Error(`${name} has no declaration.`)
    const isType = (symbol.flags & ts.SymbolFlags.Value) === 0 || typesAlone.has(given)
    const base = {
      name,
      isType,
      file: place(symbol)[0],
      ...documentation(symbol),
      code: [],
      members: [],
      defaults: patternDefaults(declaration),
      optionTypes: [],
    }
    if (ts.isClassDeclaration(declaration)) return classEntries(base, symbol, declaration)
    if (ts.isInterfaceDeclaration(declaration)) {
      const type = checker.getDeclaredTypeOfSymbol(symbol)
      const calls = describeCall(name, type.getCallSignatures())
      return [{ ...base, kind: 'interface', code: calls.code, members: propertiesOf(type, name) }]
    }
    if (ts.isTypeAliasDeclaration(declaration)) {
      const type = checker.getDeclaredTypeOfSymbol(symbol)
      const names = type.isUnion() && type.types.every((part) => part.isStringLiteral())
      const written = names ? type.types.map((part) => printType(part).replaceAll('"', "'")).join(' | ') : declaration.type.getText()
      return [{ ...base, kind: 'type', code: [wrap(`type ${name} = ${dedent(written)}`)] }]
    }
    if (symbol.flags & ts.SymbolFlags.Module) return namespaceEntries(base, checker.getExportsOfModule(symbol))
    const type = checker.getTypeOfSymbol(symbol)
    const signatures = type.getCallSignatures()
    if (signatures.length > 0) {
      const calls = describeCall(name, signatures, call)
      const options = base.parameters.find((parameter) => parameter.name === 'options')?.text ?? ''
      const members = calls.members.map((member) => (member.text === '' && member.default === null ? toldOf(member, options) : member))
      return [{ ...base, kind: 'function', ...calls, members }]
    }
    const isObject =
      ts.isVariableDeclaration(declaration) && declaration.initializer !== undefined && isObjectLiteral(declaration.initializer)
    if (isObject && !name.includes('.')) return namespaceEntries(base, type.getProperties())
    return [{ ...base, kind: 'value', code: [`${name.includes('.') ? '' : 'const '}${name}: ${typeText(symbol)}`] }]
  }

  const classEntries = (base: Omit<Entry, 'kind'>, symbol: ts.Symbol, declaration: ts.ClassDeclaration): Entry[] => {
    const isMethod = (member: ts.Symbol) => (member.flags & ts.SymbolFlags.Method) !== 0
    const statics = [...(symbol.exports?.values() ?? [])].filter((member) => member.name !== 'prototype')
    const own = [...statics, ...(symbol.members?.values() ?? [])].filter(isPublic)
    const made = declaration.members.find(ts.isConstructorDeclaration)
    const documented =
      made !== undefined &&
      ts.getJSDocCommentsAndTags(made).length > 0 &&
      !ts.getJSDocTags(made).some((tag) => tag.tagName.text === 'internal')
    const signatures = documented ? checker.getTypeOfSymbol(symbol).getConstructSignatures() : []
    const parent = declaration.heritageClauses?.[0]?.types[0].getText()
    const constructors = describeCall(`new ${base.name}`, signatures).code
    const properties = own.filter((member) => !isMethod(member) && member.flags & (ts.SymbolFlags.Property | ts.SymbolFlags.Accessor))
    return [
      {
        ...base,
        kind: 'class',
        code: [`class ${base.name}${parent === undefined ? '' : ` extends ${parent}`}`, ...constructors],
        members: properties.map((property) => memberOf(property, base.name)),
      },
      ...own.filter(isMethod).flatMap((method) => {
        const name = `${base.name}.${method.name}`
        return entriesOf(name, method, statics.includes(method) ? name : name[0].toLowerCase() + name.slice(1))
      }),
    ]
  }

  const namespaceEntries = (base: Omit<Entry, 'kind'>, given: readonly ts.Symbol[]): Entry[] => {
    const members = given.map((member) => ({ own: member.name, symbol: source(resolve(member)) }))
    const names = new Set(members.map(({ own }) => own))
    return [
      { ...base, kind: 'namespace' },
      ...members.flatMap(({ own, symbol }): Entry[] => {
        const name = `${base.name}.${own}`
        const entries = entriesOf(name, symbol)
        if (own === symbol.name || !names.has(symbol.name)) return entries
        const first = `${base.name}.${symbol.name}`
        const examples = entries[0].examples.map((example) => example.replaceAll(first, name))
        return [
          {
            ...entries[0],
            kind: 'value',
            code: [],
            text: `The same as \`${first}\`.`,
            parameters: [],
            returns: '',
            throws: [],
            members: [],
            examples,
          },
        ]
      }),
    ]
  }

  return exported.flatMap(({ name, symbol }) => entriesOf(name, symbol))
}

/** What is not as every name must be: `adam: no example`. */
export function problemsOf(entries: readonly Entry[]): string[] {
  const taken = new Set(entries.flatMap(({ optionTypes }) => optionTypes))
  const problems = entries.flatMap((entry) => {
    const { name, kind, isType, text, examples } = entry
    const own = name.slice(name.lastIndexOf('.') + 1)
    const isOptions = kind === 'function' || (name.endsWith('Options') && !taken.has(name))
    return [
      ...(text === '' && !taken.has(name) ? [`${name}: no docstring`] : []),
      ...(!isType && examples.length === 0 ? [`${name}: no example`] : []),
      ...(!isType && examples.length > 0 && !examples.join().match(`\\b${own}\\b`) ? [`${name}: its example does not use it`] : []),
      ...(isOptions ? entry.members.flatMap((member) => optionProblems(entry, member)) : []),
    ]
  })
  return [...new Set(problems)]
}

/** A default may be left to the code, where it says it; it must not say another one. */
function optionProblems(entry: Entry, { name, text, optional, default: stated, isPlain, declared }: Member): string[] {
  const inCode = literalValue(entry.defaults.get(name))
  const inText = literalValue(stated?.replace(/,.*/, ''))
  const told = toldDefault(entry, name)
  return [
    ...(text === '' && stated === null ? [`${declared}: no docstring`] : []),
    ...(optional && isPlain && stated === null && inCode === null ? [`${declared}: no default`] : []),
    ...(inCode !== null && inText !== null && inCode !== inText ? [`${entry.name}: ${name} is by default ${inCode}, not ${inText}`] : []),
    ...(told !== null && inText !== null && told !== inText ? [`${entry.name}: ${name} is by default ${inText} or ${told}`] : []),
  ]
}

/** The literal that `@param options` gives as the default of one: "`rate` 0.001, `floor` 0." */
function toldDefault({ parameters }: Entry, name: string): string | null {
  const options = parameters.find((parameter) => parameter.name === 'options')?.text ?? ''
  return literalValue(new RegExp(`\`${name}\` ("[^"]*"|[^\\s,;]+?)(?=[,;.]?(?:\\s|$))`).exec(options)?.[1])
}

/** A module with the examples of each name as a function, every export in scope. */
export function examplesModule(entries: readonly Entry[], library: string): string {
  const names = entries.filter(({ name }) => !name.includes('.'))
  const imports = names.map(({ name, isType }) => (isType ? `type ${name}` : name))
  const blocks = (examples: readonly string[]) => examples.map((example) => `{\n${example}\n}`).join('\n')
  const functions = entries.map(({ name, examples }) => `'${name}': async () => {\n${blocks(examples)}\n},`)
  return [
    `import { ${imports.join(', ')} } from '${library}'`,
    'export const examples: Readonly<Record<string, () => Promise<void>>> = {',
    ...functions,
    '}',
    '',
  ].join('\n')
}

/** The defaults of destructured options anywhere in a declaration: `{ momentum = 0 }`. */
function patternDefaults(declaration: ts.Node): Map<string, string> {
  const found = new Map<string, string>()
  const visit = (node: ts.Node): void => {
    if (ts.isBindingElement(node) && node.initializer !== undefined && ts.isObjectBindingPattern(node.parent))
      found.set((node.propertyName ?? node.name).getText(), node.initializer.getText())
    ts.forEachChild(node, visit)
  }
  visit(declaration)
  return found
}

/** A number, string or truth value in one spelling; null for anything else. */
export function literalValue(text = ''): string | null {
  const found = /^(?:["'](.*)["']|(true|false)|(-?[\d_.]+(?:e-?\d+)?))$/.exec(text)
  if (found === null) return null
  return found[3] === undefined ? (found[1] ?? found[2]) : String(Number(found[3].replaceAll('_', '')))
}

/** `{ … }`, also behind `as const`, `satisfies` and Object.freeze. */
function isObjectLiteral(node: ts.Expression): boolean {
  if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node) || ts.isParenthesizedExpression(node))
    return isObjectLiteral(node.expression)
  if (ts.isCallExpression(node) && node.expression.getText() === 'Object.freeze') return isObjectLiteral(node.arguments[0])
  return ts.isObjectLiteralExpression(node)
}

/** "Decay of the mean; default 0.9." is the text "Decay of the mean." and the default "0.9"; so are "(default 0.9)" and "0.9 (default)". */
function splitDefault(text: string): Pick<Member, 'text' | 'default'> {
  const marked = /("[^"]*"|`[^`]*`|[\w.]+) \(default\)/.exec(text)
  if (marked !== null) return { text: text.replace(marked[0], () => marked[1]), default: marked[1] }
  const bracketed = / \([Dd]efault:? ([^()]+)\)/.exec(text)
  if (bracketed !== null) return { text: text.replace(bracketed[0], ''), default: bracketed[1] }
  const found = /(?:^|[.;,]? )[Dd]efault:? ((?:`[^`]*`|"[^"]*"|[^.;`"]|\.(?=\S))+)(?:[.;]|$)/.exec(text)
  if (found === null) return { text, default: null }
  const before = text.slice(0, found.index).replace(/[.;,]$/, '')
  const after = capitalise(text.slice(found.index + found[0].length).trim())
  return { text: [before === '' ? '' : `${before}.`, after].filter((part) => part !== '').join(' '), default: found[1].trim() }
}

/** An option without a docstring of its own, with what `@param options` says of it: "`alpha`: the slope, default 1; `name`: …". */
function toldOf(member: Member, options: string): Member {
  const told = new RegExp(`\`${member.name}\`[:,]? ((?:(?![;,] \`).)+)`).exec(options)?.[1] ?? ''
  return { ...member, ...splitDefault(capitalise(told.replace(/[;,.]?$/, told === '' ? '' : '.'))) }
}

/** Code as a formatter indents it; the compiler gives docstrings without the spaces at the start of lines. */
function indented(code: string): string {
  let depth = 0
  const lines = code.split('\n').map((line) => {
    const opened = line.match(/[([{]/g)?.length ?? 0
    const closed = line.match(/[)\]}]/g)?.length ?? 0
    const indent = '  '.repeat(Math.max(0, /^[)\]}]/.test(line) ? depth - 1 : depth))
    // However many a line opens, the one that closes them goes back by a step.
    depth += Math.sign(opened - closed)
    return indent + line
  })
  return lines.join('\n')
}

function isPlain(type: ts.Type): boolean {
  const plain = ts.TypeFlags.StringLike | ts.TypeFlags.NumberLike | ts.TypeFlags.BooleanLike
  return type.isUnion() ? type.types.every(isPlain) : (type.flags & plain) !== 0
}

function capitalise(text: string): string {
  return text.replace(/^[a-z]/, (letter) => letter.toUpperCase())
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim()
}

/** The same for a type, whose properties may be told apart by line breaks alone. */
function oneLineType(text: string): string {
  return oneLine(text.replace(/([^\s{(,;|&])\s*\n\s*(?=[\w'"[])/g, '$1; '))
}

/** Continuation lines of a declaration without the indentation of its file. */
function dedent(text: string): string {
  const lines = text.split('\n')
  const indents = lines.slice(1).map((line) => line.length - line.trimStart().length)
  const least = Math.min(...indents)
  return lines.map((line, i) => (i === 0 ? line : `  ${line.slice(least)}`)).join('\n')
}

/** A union too long for a line, a line for each hundred characters. */
function wrap(text: string): string {
  if (text.length <= 100 || text.includes('\n')) return text
  const lines = ['']
  for (const part of text.split(' | ')) {
    const line = lines[lines.length - 1]
    if (line.length + part.length > 96) lines.push(`  | ${part}`)
    else lines[lines.length - 1] = line === '' ? part : `${line} | ${part}`
  }
  return lines.join('\n')
}

function breakLine(name: string, parameters: readonly string[], result: string): string {
  const end = name.startsWith('new ') ? '' : `: ${result}`
  const line = `${name}(${parameters.join(', ')})${end}`
  if (line.length <= 100 || parameters.length === 0) return line
  return `${name}(\n${parameters.map((text) => `  ${text},\n`).join('')})${end}`
}
