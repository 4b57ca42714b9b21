"""Training: one model (`loop`), a run (`fit`), a comparison (`compare`); killed at any moment, and continued.

opening     file, settings → task, data, complete settings
job         what the loop is given, and gives back
loop        fresh weights → the best ones on the validation part
update      one update of the weights
budget      how long, and how the learning rate falls
checkpoint  a moment of training on disk
session     the hidden folder in which a run comes to be
manifest    a session → a run
"""
