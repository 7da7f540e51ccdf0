/**
 * House prices in Ames, Iowa (De Cock 2011): predict `Sale_Price` from 73 columns.
 *
 * A few small networks, each with a linear path beside it, are trained as one graph and averaged. The columns are encoded here by
 * hand: numbers standardised, skewed ones after a logarithm, graded qualities as numbers, categories as one-hot.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { adamW, add, concatenate, dense, dropout, input, model, type Tensor } from '../src/index.ts'
import type { ExampleOptions } from './options.ts'

type House = Readonly<Record<string, string>>

/** Graded columns, from worst to best. */
const GRADES: Readonly<Record<string, readonly string[]>> = {
  Overall_Cond: ['Very_Poor', 'Poor', 'Fair', 'Below_Average', 'Average', 'Above_Average', 'Good', 'Very_Good', 'Excellent'],
  Exter_Cond: ['Poor', 'Fair', 'Typical', 'Good', 'Excellent'],
  Bsmt_Cond: ['No_Basement', 'Poor', 'Fair', 'Typical', 'Good', 'Excellent'],
  Bsmt_Exposure: ['No_Basement', 'No', 'Mn', 'Av', 'Gd'],
  BsmtFin_Type_1: ['No_Basement', 'Unf', 'LwQ', 'Rec', 'BLQ', 'ALQ', 'GLQ'],
  Heating_QC: ['Poor', 'Fair', 'Typical', 'Good', 'Excellent'],
  Functional: ['Sal', 'Sev', 'Maj2', 'Maj1', 'Mod', 'Min2', 'Min1', 'Typ'],
  Garage_Finish: ['No_Garage', 'Unf', 'RFn', 'Fin'],
  Garage_Cond: ['No_Garage', 'Poor', 'Fair', 'Typical', 'Good', 'Excellent'],
  Paved_Drive: ['Dirt_Gravel', 'Partial_Pavement', 'Paved'],
  Lot_Shape: ['Irregular', 'Moderately_Irregular', 'Slightly_Irregular', 'Regular'],
}

/** Skewed areas, taken as log(1 + x). */
const SKEWED = new Set([
  'Lot_Area',
  'Lot_Frontage',
  'Mas_Vnr_Area',
  'BsmtFin_SF_2',
  'Bsmt_Unf_SF',
  'Total_Bsmt_SF',
  'First_Flr_SF',
  'Second_Flr_SF',
  'Gr_Liv_Area',
  'Wood_Deck_SF',
  'Open_Porch_SF',
  'Enclosed_Porch',
  'Three_season_porch',
  'Screen_Porch',
  'Pool_Area',
  'Misc_Val',
])

/** A category rarer than this among the training rows gets no column of its own. */
const RAREST_CATEGORY = 10

/** Numbers derived from several columns, as an appraiser would. */
function derived(house: House): Record<string, number> {
  const value = (column: string) => Number(house[column])
  const area = value('Gr_Liv_Area') + value('Total_Bsmt_SF')
  const finished = area - value('Bsmt_Unf_SF')
  const age = Math.max(0, value('Year_Sold') - value('Year_Built'))
  const sinceRemodel = Math.max(0, value('Year_Sold') - value('Year_Remod_Add'))
  const porch = ['Open_Porch_SF', 'Enclosed_Porch', 'Three_season_porch', 'Screen_Porch', 'Wood_Deck_SF'].reduce(
    (sum, column) => sum + value(column),
    0,
  )
  return {
    area,
    logArea: Math.log(area),
    finished,
    logFinished: Math.log(finished),
    livingArea: value('Gr_Liv_Area'),
    garageArea: value('Garage_Area'),
    age,
    logAge: Math.log1p(age),
    sinceRemodel,
    logSinceRemodel: Math.log1p(sinceRemodel),
    remodelled: Number(value('Year_Built') !== value('Year_Remod_Add')),
    newWhenSold: Number(value('Year_Sold') <= value('Year_Built') + 1),
    baths: value('Full_Bath') + 0.5 * value('Half_Bath') + value('Bsmt_Full_Bath') + 0.5 * value('Bsmt_Half_Bath'),
    porch: Math.log1p(porch),
    lotPerFloor: Math.log(value('Lot_Area') / value('First_Flr_SF')),
    areaPerRoom: Math.log(value('Gr_Liv_Area') / value('TotRms_AbvGrd')),
    soldAt: value('Year_Sold') + value('Mo_Sold') / 12,
  }
}

/** Columns of numbers and of categories for every house; statistics come from the training rows alone. */
function encode(houses: readonly House[], isTraining: (row: number) => boolean): number[][] {
  const numbers = houses.map((house) => {
    const row = derived(house)
    for (const [column, text] of Object.entries(house)) {
      if (column === 'Sale_Price') continue
      const grades = GRADES[column]
      if (grades !== undefined) row[`grade of ${column}`] = grades.indexOf(text)
      else if (text.trim() !== '' && Number.isFinite(Number(text)))
        row[column] = SKEWED.has(column) ? Math.log1p(Number(text)) : Number(text)
    }
    return row
  })
  const training = numbers.filter((_, row) => isTraining(row))
  const names = Object.keys(numbers[0])
  const scaled = names.flatMap((name) => {
    const mean = training.reduce((sum, row) => sum + row[name], 0) / training.length
    const deviation = Math.sqrt(training.reduce((sum, row) => sum + (row[name] - mean) ** 2, 0) / training.length)
    if (deviation < 1e-6) return []
    return [numbers.map((row) => Math.min(5, Math.max(-5, (row[name] - mean) / deviation)))]
  })
  const categories = Object.keys(houses[0]).filter((column) => !(column in numbers[0]) && column !== 'Sale_Price')
  const indicators = [...categories, 'Mo_Sold', 'Year_Sold'].flatMap((column) => {
    const counts = new Map<string, number>()
    houses.forEach((house, row) => isTraining(row) && counts.set(house[column], (counts.get(house[column]) ?? 0) + 1))
    const kept = [...counts].filter(([, count]) => count >= RAREST_CATEGORY).map(([category]) => category)
    return kept.sort().map((category) => houses.map((house) => Number(house[column] === category)))
  })
  const columns = [...scaled, ...indicators]
  return houses.map((_, row) => columns.map((column) => column[row]))
}

export interface AmesResult {
  readonly trainingRows: number
  readonly testRows: number
  readonly features: number
  readonly parameters: number
  /** R² of the price in dollars on the held-out rows. */
  readonly r2: number
  /** Of the price in dollars on the held-out rows. */
  readonly meanAbsoluteError: number
  readonly seconds: number
}

const NETWORKS = 2
const EPOCHS = 60

export async function trainAmes({ seed = 1, onProgress, onEpochEnd, ...execution }: ExampleOptions = {}): Promise<AmesResult> {
  const all: House[] = parse(readFileSync(new URL('data/ames.csv', import.meta.url)), { columns: true })
  // The data's author advises to leave out the five houses above 4,000 square feet, three of which are true outliers.
  const houses = all.filter((house) => Number(house.Gr_Liv_Area) <= 4000)
  const isTraining = (row: number) => row % 5 !== 0
  const features = encode(houses, isTraining)
  const prices = houses.map((house) => Number(house.Sale_Price))
  const logarithms = prices.map(Math.log)

  const rows = houses.map((_, row) => row)
  const training = rows.filter(isTraining)
  const test = rows.filter((row) => !isTraining(row))
  const mean = training.reduce((sum, row) => sum + logarithms[row], 0) / training.length
  const deviation = Math.sqrt(training.reduce((sum, row) => sum + (logarithms[row] - mean) ** 2, 0) / training.length)

  const x = input(features[0].length, { name: 'house' })
  const branches = Array.from({ length: NETWORKS }, () => branch(x))
  // Every branch is trained on its own error; the average is formed when predicting.
  const net = model(x, concatenate(branches), { seed, ...execution })

  const start = performance.now()
  await net.fit(
    { x: training.map((row) => features[row]), y: training.map((row) => branches.map(() => (logarithms[row] - mean) / deviation)) },
    {
      loss: 'meanSquaredError',
      optimizer: adamW({
        learningRate: (epoch) => 1e-3 * (epoch < 0.6 * EPOCHS ? 1 : epoch < 0.85 * EPOCHS ? 0.3 : 0.1),
        weightDecay: 0.1,
      }),
      epochs: EPOCHS,
      batchSize: 32,
      onProgress,
      onEpochEnd,
    },
  )
  const seconds = (performance.now() - start) / 1000

  const predicted = await net.predict(test.map((row) => features[row]))
  const estimates = test.map((_, i) => {
    const outputs = branches.map((_branch, network) => predicted.at(i, network))
    return Math.exp((outputs.reduce((sum, output) => sum + output, 0) / NETWORKS) * deviation + mean)
  })
  const actual = test.map((row) => prices[row])
  const center = actual.reduce((sum, price) => sum + price, 0) / actual.length
  const residual = actual.reduce((sum, price, i) => sum + (price - estimates[i]) ** 2, 0)
  const total = actual.reduce((sum, price) => sum + (price - center) ** 2, 0)
  return {
    trainingRows: training.length,
    testRows: test.length,
    features: features[0].length,
    parameters: net.parameterCount,
    r2: 1 - residual / total,
    meanAbsoluteError: actual.reduce((sum, price, i) => sum + Math.abs(price - estimates[i]), 0) / actual.length,
    seconds,
  }
}

/** A small network and a linear path from the input, added: the network learns what a straight line cannot say. */
function branch(x: Tensor): Tensor {
  const hidden = dropout(dense(dropout(x, 0.3), 64, { activation: 'gelu' }), 0.3)
  return add(dense(hidden, 1), dense(x, 1, { useBias: false, kernelInitializer: 'zeros' }))
}
