"""Files to batches: readers, guesses, splits, encoders fitted on the training part, windows, sequences.

What other parts of the package call:

    schema.guess(path, settings)                  -> Guess(settings, notes): every open field filled in
    panel.open_panel(path, settings)              -> Panel: one or several series, sorted and checked
    windows.prepare_forecast(path, settings)      -> DataParts(data, encoders, train, valid, test, notes, …)
    windows.reopen_forecast(path, settings, encoders, answers=True)    -> ForecastPart
    labelled.prepare_classify(path, settings)     -> DataParts, the same shape
    labelled.reopen_classify(path, settings, encoders, answers=True)   -> ClassifyPart
    encoders.ForecastEncoders, ClassifyEncoders   frozen pydantic models: `model_dump_json`, `model_validate_json`
    batches.order(lengths, batch_size, seed, epoch)                    -> list of index arrays
    describe.describe(path, settings)             -> Description: `.text()`, `.as_json()`
    examples.Part, Batch                          what training loops see

ForecastPart has, beyond `Part`: `series(index)`, `times(index)` (the horizon's times as text), `past(index, steps)`
(scaled targets before the origin, NaN before the series began). ClassifyPart has `label(index)` and `tokens(index)`.
"""
