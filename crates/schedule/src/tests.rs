//! Tests through the public functions: stories told in numbers, laws over random networks, and the judge itself.

mod advance;
mod door;
mod helps;
mod improve;
mod improve_laws;
mod judge;
mod laws;
mod memory;
mod neutral;
mod nodes;
mod opaque;
mod order;
mod places;
mod promises;
mod reach;
mod reasons;
mod rounds;
mod topology;
