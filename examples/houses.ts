/**
 * `npx tsx examples/houses.ts`: what a house in Ames is worth, from a CSV file to a saved model. With `--folds` it says how sure that is: five-fold cross-validation.
 */
import { crossValidateTable, csv, inferSchema, loadTabular, tabular } from '../src/index.ts'

// Each row is an object by column name. The five houses over 4,000 square feet are left out, as De Cock, who made the table, recommends.
const houses = csv(new URL('data/ames.csv', import.meta.url).pathname).filter((row) => Number(row.Gr_Liv_Area) <= 4000)
const { training, validation } = houses.split(0.2, { seed: 1 })

// What each column is, found by looking at the values; then their means, categories and words.
const columns = await inferSchema(training, { target: 'Sale_Price' })
const fitted = await columns.fit(training)

const net = tabular(fitted)
await net.fit(await training.toArray(), { onEpochEnd: (epoch, { loss }) => console.log(`epoch ${epoch + 1}: loss ${loss.toFixed(4)}`) })

// In dollars, on houses that the network has not seen.
console.log(await net.evaluate(validation))

const [house] = await validation.take(1).toArray()
const { Sale_Price: predicted } = await net.predict(house)
console.log(`A house that was sold for $${house.Sale_Price} is valued at $${Math.round(Number(predicted))}.`)

// Weights, graph and schema in one file: all that `predict` needs.
await net.save('build/houses.safetensors')
console.log(await (await loadTabular('build/houses.safetensors')).predict(house))

if (process.argv.includes('--folds')) {
  const { mean } = await crossValidateTable(columns, await houses.toArray(), {
    onFold: ({ values, seconds }, fold) => console.log(`fold ${fold + 1}: R² ${values.r2Score.toFixed(4)}, ${seconds.toFixed(1)} s`),
  })
  console.log('mean:', mean)
}
