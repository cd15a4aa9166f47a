mod bad_input;
mod exact;
mod laws;
mod random;
mod scenarios;
mod story;
