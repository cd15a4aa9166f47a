//! How the demo divides one machine into three centres.

use huisuan_model::{Bytes, CentreId, Class, Money};

/// One centre of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CentrePlan {
    /// Its name.
    pub(crate) centre: CentreId,
    /// The class it is run as.
    pub(crate) class: Class,
    /// The processors it may use, as the kernel numbers them.
    pub(crate) cores: Vec<usize>,
    /// The memory it may give away.
    pub(crate) memory: Bytes,
    /// Its IANA time zone.
    pub(crate) zone: &'static str,
    /// Its invented price for one P·h of its class.
    pub(crate) price_per_p_h: Money,
}

/// All centres of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// In the order of their names.
    pub(crate) centres: Vec<CentrePlan>,
    /// True when the centres have the same cores, so that their capacities must not be added.
    pub(crate) overlapping: bool,
}

/// Name, class, zone and price in millionths of a yuan. A P·h of a processor is dear because a
/// processor core reaches a few hundred-thousandths of a P.
const CENTRES: [(&str, Class, &str, i64); 3] = [
    ("ai-1", Class::Ai, "Asia/Shanghai", 900_000_000),
    ("general-1", Class::General, "Asia/Shanghai", 1_200_000_000),
    ("hpc-1", Class::Hpc, "Asia/Shanghai", 2_400_000_000),
];

/// Divides the processors among the three centres; with fewer than three each centre gets all of them.
/// Memory is always divided, because it cannot be shared as time can.
pub(crate) fn layout(cores: &[usize], memory: Bytes) -> Layout {
    let overlapping = cores.len() < CENTRES.len();
    let centres = CENTRES
        .iter()
        .enumerate()
        .map(|(at, &(name, class, zone, price))| CentrePlan {
            centre: CentreId::new(name).expect("the names above are valid"),
            class,
            cores: if overlapping { cores.to_vec() } else { share(cores, at) },
            memory: Bytes(memory.0 / CENTRES.len() as u64),
            zone,
            price_per_p_h: Money(price),
        })
        .collect();
    Layout { centres, overlapping }
}

/// Every third processor would split hardware threads of one core between centres; neighbours stay together.
fn share(cores: &[usize], at: usize) -> Vec<usize> {
    let (from, to) = (cores.len() * at / CENTRES.len(), cores.len() * (at + 1) / CENTRES.len());
    cores[from..to].to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[track_caller]
    fn check(cores: &[usize], overlapping: bool, shares: [&[usize]; 3]) {
        let layout = layout(cores, Bytes(3 << 30));
        assert_eq!(layout.overlapping, overlapping, "{cores:?}");
        for (centre, share) in layout.centres.iter().zip(shares) {
            assert_eq!(centre.cores, share, "{} of {cores:?}", centre.centre);
            assert_eq!(centre.memory, Bytes(1 << 30));
        }
    }

    #[test]
    fn three_centres_share_or_split() {
        check(&[0], true, [&[0], &[0], &[0]]);
        check(&[0, 1], true, [&[0, 1], &[0, 1], &[0, 1]]);
        check(&[0, 1, 2], false, [&[0], &[1], &[2]]);
        check(&[4, 5, 6, 7], false, [&[4], &[5], &[6, 7]]);
        check(&[0, 1, 2, 3, 4, 5, 6, 7], false, [&[0, 1], &[2, 3, 4], &[5, 6, 7]]);
    }

    #[test]
    fn a_split_gives_every_core_away_once() {
        for count in 3..70 {
            let cores: Vec<usize> = (0..count).collect();
            let given: Vec<usize> =
                layout(&cores, Bytes(1)).centres.into_iter().flat_map(|centre| centre.cores).collect();
            assert_eq!(given.len(), count);
            assert_eq!(given.into_iter().collect::<BTreeSet<_>>().len(), count);
        }
    }

    #[test]
    fn classes_are_all_there_and_names_in_order() {
        let layout = layout(&[0], Bytes(1));
        let classes: BTreeSet<Class> = layout.centres.iter().map(|centre| centre.class).collect();
        assert_eq!(classes, BTreeSet::from(Class::ALL));
        assert!(layout.centres.is_sorted_by(|a, b| a.centre < b.centre));
    }
}
