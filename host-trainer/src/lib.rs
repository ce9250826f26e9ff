//! Data set, features, training, evaluation and quantisation.
