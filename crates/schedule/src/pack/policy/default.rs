//! Ours.

use crate::pack::{Ask, Mix, Rate, Room};

use super::fgd;

/// The rate.
pub(super) fn rate(mix: &Mix, ask: &Ask, room: &Room) -> Rate {
    fgd::rate(mix, ask, room)
}
