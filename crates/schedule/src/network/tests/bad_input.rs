//! Models that are refused, each with what is wrong.
