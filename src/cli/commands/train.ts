import { type Command, Option } from 'commander'
import type { DefineCommand } from '../command.ts'
import { executorOption, formatOption, missingTargetOption, threadsOption } from '../commonOptions.ts'
import { bytes, integer, integers, names, number, repeated } from '../optionValues.ts'
import type { TrainCommandOptions } from '../trainOptions.ts'
import { trainTable } from '../trainTable.ts'

export const define: DefineCommand = (command, context) => {
  command
    .usage('<data...> --target <column> [options]')
    .description(
      'Trains a network on the rows of files and saves it, with all that prediction needs, in one file. Formats are found out by themselves: CSV, tabs, JSON lines (also .gz), Parquet, Arrow. Numbers are scaled, categories, texts and dates encoded, missing values filled in; what each column is taken for is printed. Part of the rows is held out, and the scores are those on it.',
    )
    .argument('<data...>', 'files of rows, read one after the other; - for standard input')

  command
    .optionsGroup('Data:')
    .option('-t, --target <column>', 'the column to predict; several with commas between them', names)
    .option('-o, --out <file>', 'the file of the model, overwritten at the end if it is one (default: the name of the data, .safetensors)')
    .addOption(formatOption())
    .option(
      '--test <share>',
      'the share of the rows to hold out for the scores; 0 for none',
      number({ from: 0, to: 0.99, inclusive: true }),
      0.2,
    )
    .option('--folds <count>', 'cross-validate with so many folds, then train on all rows (default: hold out once)', integer(2))
    .option(
      '--column <name=kind>',
      'what a column is: zip=category, notes="text(most=500)"; may be given several times (default: found out)',
      repeated,
    )
    .option('--ignore <columns>', 'columns to leave out, with commas between them', names)
    .addOption(missingTargetOption())
    .option('--sample <rows>', 'how many rows to look at to find out what columns are', integer(1), 10_000)
    .addOption(
      new Option('--memory <size>', 'data that would take more are read anew for each epoch, and shuffled in a buffer')
        .argParser(bytes)
        .default(1e9, '1GB'),
    )
    .option('--stream', 'read the data anew for each epoch, whatever their size')

  command
    .optionsGroup('Network and training:')
    .option('--epochs <count>', 'times through the rows (default: by their number; 30 for 4,000)', integer(1))
    .option('--batch-size <rows>', 'rows a step (default: by the number of rows; 64 for 4,000)', integer(1))
    .option('--learning-rate <rate>', 'the highest; it falls to 0 in the end (default: 0.002)', number({ from: 0 }))
    .option('--weight-decay <strength>', 'how strongly weights are drawn to 0 (default: 0.1)', number({ from: 0, inclusive: true }))
    .option('--hidden <widths>', 'of the hidden layers, with commas between them (default: 128,64)', integers)
    .option('--members <count>', 'networks side by side whose mean is the prediction (default: 4)', integer(1))
    .option(
      '--dropout <share>',
      'of the hidden layers that is dropped in training (default: 0.3)',
      number({ from: 0, to: 0.99, inclusive: true }),
    )
    .option('--seed <number>', 'the same seed, data and options give the same model', integer(0), 0)
    .addOption(threadsOption())
    .addOption(executorOption())

  command
    .optionsGroup('Checkpoints, for runs that survive:')
    .option('--checkpoint <folder>', 'write checkpoints there; Ctrl-C then writes one too')
    .option('--every-steps <count>', 'write one after so many steps (default: every 5 minutes)', integer(1))
    .option('--every-minutes <minutes>', 'write one after so much time (default: 5)', number({ from: 0, to: 1e4 }))
    .option('--resume', 'go on from the latest checkpoint in the folder, bit for bit')

  command
    .optionsGroup('Reports:')
    .option('--report <file>', 'write a page with scores, curves, errors and what each column is worth: report.html')
    .option('--watch', 'show training as it goes on a page on this machine; the address is printed')
    .option('--port <port>', 'of that page (default: one that is free)', integer(0))
    .option('--config <file>', 'options from a file of JSON, as { "batchSize": 64 }; those given here win')
    .addHelpText('after', help)
    .action(async (data: readonly string[], options: TrainCommandOptions, self: Command) => trainTable(context(), self, data, options))
}

const help = `
Examples:
  thalweg train ames.csv --target Sale_Price
  thalweg train churn.csv --target churn --folds 5 --report churn.html
  thalweg train january.csv.gz february.csv.gz -t visits --ignore id,name --column zip=category
  thalweg train clicks.parquet -t clicked --checkpoint run --watch
  thalweg train clicks.parquet -t clicked --checkpoint run --watch --resume
  zcat rows.csv.gz | thalweg train - --target price --out price.safetensors

Exit codes: 0 done, 1 an error of data, files or options, 2 a wrong command line, 130 and 143 stopped by SIGINT and SIGTERM.`
