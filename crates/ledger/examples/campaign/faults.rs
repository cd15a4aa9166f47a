//! What befalls an operation on its way.

use std::collections::VecDeque;

use crate::draw::Draw;

/// How often something went wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) crashes: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) reordered: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, other: &Faults) {
        self.crashes += other.crashes;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.reordered += other.reordered;
    }

    /// Puts an operation on its way, where it may meet a fault; `meanwhile` is what is there before one that is late.
    pub(crate) fn send<T: Clone>(
        &mut self,
        operation: T,
        draw: &mut Draw,
        queue: &mut VecDeque<T>,
        meanwhile: Option<T>,
    ) {
        match draw.below(12) {
            0 => {
                self.duplicates += 1;
                let later = draw.below(queue.len() as u64 + 1) as usize;
                queue.push_back(operation.clone());
                queue.insert(later, operation);
            }
            1 => {
                self.reordered += 1;
                queue.push_front(operation);
            }
            2 => {
                // Behind everything that is sent before the queue runs empty.
                self.late += 1;
                queue.extend(meanwhile);
                queue.push_back(operation);
            }
            _ => queue.push_back(operation),
        }
    }
}
