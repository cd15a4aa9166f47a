mod bad_input;
mod exact;
mod laws;
mod opaque;
mod random;
mod scenarios;
mod story;
