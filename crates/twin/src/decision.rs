//! One figure for all decisions of a run: two runs decided alike when it is equal.

use huisuan_model::{Event, hex};
use sha2::{Digest, Sha256};

/// The hash of placements, in the order in which they were made.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    hash: Sha256,
    tasks: u64,
}

impl Decisions {
    /// Takes an event in; only placements count.
    pub fn take(&mut self, event: &Event) {
        let Event::TasksPlaced { job, tasks, centre, pool, cores, devices, order_seq, at, .. } = event else { return };
        self.tasks += tasks.len();
        for number in [*order_seq, at.0 as u64, job.0, cores.0, devices.0] {
            self.hash.update(number.to_le_bytes());
        }
        // Names have no line breaks, so no two lists of texts look alike.
        for text in [&tasks.to_string(), centre.as_str(), pool.as_str()] {
            self.hash.update(text.as_bytes());
            self.hash.update(b"\n");
        }
    }

    /// How many tasks were placed.
    pub fn tasks(&self) -> u64 {
        self.tasks
    }

    /// The first 32 hexadecimal digits of the SHA-256 of all that was taken in.
    pub fn hash(&self) -> String {
        let digest: [u8; 32] = self.hash.clone().finalize().into();
        hex::encode(&digest[..16])
    }
}
