//! Fragmentation gradient descent (Weng et al., "Beware of Fragmentation", USENIX ATC 2023), as published:
//! an integer score 0 to 100 that is the sigmoid of the fall of fragmentation in devices.
//!
//! The score is coarse on purpose. With exact differences and ties to the first node the allocation falls
//! by a point, because a tie to the first node is what keeps far nodes whole.

use crate::pack::{Ask, Devices, Mix, Rate, weighed::Weighed};

/// Least fall of fragmentation, in millionths of a device, for the scores 1 to 99: `ln(k / (100 - k))`.
const FALLS: [i128; 99] = [
    -4_595_120, -3_891_820, -3_476_099, -3_178_054, -2_944_439, -2_751_535, -2_586_689, -2_442_347, -2_313_635,
    -2_197_225, -2_090_741, -1_992_430, -1_900_959, -1_815_290, -1_734_601, -1_658_228, -1_585_627, -1_516_347,
    -1_450_010, -1_386_294, -1_324_925, -1_265_666, -1_208_311, -1_152_680, -1_098_612, -1_045_969, -994_623, -944_462,
    -895_384, -847_298, -800_119, -753_772, -708_185, -663_294, -619_039, -575_364, -532_217, -489_548, -447_312,
    -405_465, -363_965, -322_773, -281_851, -241_162, -200_671, -160_343, -120_144, -80_043, -40_005, 0, 40_005,
    80_043, 120_144, 160_343, 200_671, 241_162, 281_851, 322_773, 363_965, 405_465, 447_312, 489_548, 532_217, 575_364,
    619_039, 663_294, 708_185, 753_772, 800_119, 847_298, 895_384, 944_462, 994_623, 1_045_969, 1_098_612, 1_152_680,
    1_208_311, 1_265_666, 1_324_925, 1_386_294, 1_450_010, 1_516_347, 1_585_627, 1_658_228, 1_734_601, 1_815_290,
    1_900_959, 1_992_430, 2_090_741, 2_197_225, 2_313_635, 2_442_347, 2_586_689, 2_751_535, 2_944_439, 3_178_054,
    3_476_099, 3_891_820, 4_595_120,
];

/// The best score over the devices that a share may go to, and the first device with it.
pub(super) fn rate(mix: &Mix, ask: &Ask, weighed: &Weighed) -> Rate {
    let with = weighed.with(mix, ask);
    let score = |after: u64| score(weighed.before, after, mix.total());
    match ask.devices {
        Devices::None | Devices::Whole(_) => Rate { score: score(with.after(ask)), device: 0 },
        Devices::Share(share) => {
            let choices = with.shares(share).map(|(device, after, _)| (score(after), device));
            // The last of equals from the back is the first one.
            let best = choices.rev().max_by_key(|&(score, _)| score).unwrap_or((0, 0));
            Rate { score: best.0, device: best.1 }
        }
    }
}

/// The integer score of a fall of fragmentation, both in thousandths of a device times the mix's total.
fn score(before: u64, after: u64, total: u64) -> i64 {
    let fall = (i128::from(before) - i128::from(after)) * 1000;
    FALLS.partition_point(|&least| least * i128::from(total.max(1)) <= fall) as i64
}
