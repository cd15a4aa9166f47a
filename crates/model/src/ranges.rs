//! Sets of task indices kept as ranges, so that an array of a million tasks is a few bytes.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of `u32` as sorted, disjoint, non-adjacent inclusive ranges. Written `0-99,105`.
#[derive(Clone, Default)]
pub struct RangeSet(Ranges);

/// One range, as nearly all sets of tasks are, stands where the vector would: no allocation, and no second place in
/// memory to wait for when a million jobs are looked through.
#[derive(Clone)]
enum Ranges {
    One([(u32, u32); 1]),
    /// None, or more than one.
    Many(Vec<(u32, u32)>),
}

impl Default for Ranges {
    fn default() -> Self {
        Ranges::Many(Vec::new())
    }
}

/// A text that is not a set of ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a list of indices such as 0-99,105 or 1-10:2")]
pub struct RangeError(String);

impl RangeSet {
    /// No index.
    pub fn new() -> Self {
        Self::default()
    }

    /// The indices `first..=last`; empty when `last < first`.
    pub fn from_range(first: u32, last: u32) -> Self {
        if first <= last { Self(Ranges::One([(first, last)])) } else { Self::new() }
    }

    /// The ranges as they are.
    fn ranges(&self) -> &[(u32, u32)] {
        match &self.0 {
            Ranges::One(range) => range,
            Ranges::Many(ranges) => ranges,
        }
    }

    fn of(ranges: Vec<(u32, u32)>) -> Self {
        match ranges[..] {
            [only] => Self(Ranges::One([only])),
            _ => Self(Ranges::Many(ranges)),
        }
    }

    /// Changes the ranges as a vector.
    fn change(&mut self, change: impl FnOnce(&mut Vec<(u32, u32)>)) {
        let mut ranges = match std::mem::take(&mut self.0) {
            Ranges::One(range) => range.to_vec(),
            Ranges::Many(ranges) => ranges,
        };
        change(&mut ranges);
        *self = Self::of(ranges);
    }

    /// True for no index.
    pub fn is_empty(&self) -> bool {
        self.ranges().is_empty()
    }

    /// How many indices.
    pub fn len(&self) -> u64 {
        self.ranges().iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// The smallest index.
    pub fn first(&self) -> Option<u32> {
        self.ranges().first().map(|range| range.0)
    }

    /// The largest index.
    pub fn last(&self) -> Option<u32> {
        self.ranges().last().map(|range| range.1)
    }

    /// Whether `index` is in the set; O(log ranges).
    pub fn contains(&self, index: u32) -> bool {
        self.position(index).is_ok()
    }

    /// Adds an index; false when it was there.
    pub fn insert(&mut self, index: u32) -> bool {
        let Err(at) = self.position(index) else { return false };
        let ranges = self.ranges();
        let joins_left = at > 0 && ranges[at - 1].1.checked_add(1) == Some(index);
        let joins_right = at < ranges.len() && index.checked_add(1) == Some(ranges[at].0);
        match (&mut self.0, joins_left, joins_right) {
            (Ranges::One([range]), true, _) => range.1 = index,
            (Ranges::One([range]), _, true) => range.0 = index,
            (Ranges::Many(ranges), true, false) => ranges[at - 1].1 = index,
            (Ranges::Many(ranges), false, true) => ranges[at].0 = index,
            (_, true, true) => self.change(|ranges| {
                ranges[at - 1].1 = ranges[at].1;
                ranges.remove(at);
            }),
            (_, false, false) => self.change(|ranges| ranges.insert(at, (index, index))),
        }
        true
    }

    /// Takes an index out; false when it was not there.
    pub fn remove(&mut self, index: u32) -> bool {
        let Ok(at) = self.position(index) else { return false };
        let (first, last) = self.ranges()[at];
        match (&mut self.0, first == index, last == index) {
            (Ranges::One([range]), true, false) => range.0 = index + 1,
            (Ranges::One([range]), false, true) => range.1 = index - 1,
            (Ranges::Many(ranges), true, false) => ranges[at].0 = index + 1,
            (Ranges::Many(ranges), false, true) => ranges[at].1 = index - 1,
            (_, true, true) => self.change(|ranges| _ = ranges.remove(at)),
            (_, false, false) => self.change(|ranges| {
                ranges[at].1 = index - 1;
                ranges.insert(at + 1, (index + 1, last));
            }),
        }
        true
    }

    /// The first `count` indices as a set of their own.
    pub fn take(&self, count: u64) -> RangeSet {
        let mut left = count;
        let mut taken = Vec::new();
        for &(first, last) in self.ranges() {
            if left == 0 {
                break;
            }
            let size = u64::from(last - first) + 1;
            let end = if size <= left { last } else { first + (left as u32 - 1) };
            taken.push((first, end));
            left = left.saturating_sub(size);
        }
        RangeSet::of(taken)
    }

    /// All indices but the first `count`, as a set of their own: the rest of [`take`](Self::take).
    pub fn skip(&self, count: u64) -> RangeSet {
        let mut left = count;
        let mut kept = Vec::new();
        for &(first, last) in self.ranges() {
            let size = u64::from(last - first) + 1;
            if left < size {
                kept.push((first + left as u32, last));
            }
            left = left.saturating_sub(size);
        }
        RangeSet::of(kept)
    }

    /// The first `count` indices above `last`, or from the beginning: O(log ranges + ranges taken).
    pub fn take_after(&self, last: Option<u32>, count: u64) -> RangeSet {
        let Some(from) = last.map_or(Some(0), |last| last.checked_add(1)) else { return RangeSet::new() };
        let at = self.ranges().partition_point(|&(_, end)| end < from);
        let mut left = count;
        let mut taken = Vec::new();
        for &(first, last) in &self.ranges()[at..] {
            if left == 0 {
                break;
            }
            let first = first.max(from);
            let size = u64::from(last - first) + 1;
            taken.push((first, if size <= left { last } else { first + (left as u32 - 1) }));
            left = left.saturating_sub(size);
        }
        RangeSet::of(taken)
    }

    /// Adds every index of another set; O(ranges), whatever they hold.
    pub fn insert_all(&mut self, other: &RangeSet) {
        let ranges = self.ranges().iter().chain(other.ranges()).copied().collect();
        *self = Self::merged(ranges);
    }

    /// All indices in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges().iter().flat_map(|&(first, last)| first..=last)
    }

    /// Where `index` is (`Ok`) or where a range with it would stand (`Err`).
    fn position(&self, index: u32) -> Result<usize, usize> {
        self.ranges().binary_search_by(|&(first, last)| {
            if last < index {
                std::cmp::Ordering::Less
            } else if first > index {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
    }
}

impl PartialEq for RangeSet {
    fn eq(&self, other: &Self) -> bool {
        self.ranges() == other.ranges()
    }
}

impl Eq for RangeSet {}

impl PartialOrd for RangeSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RangeSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ranges().cmp(other.ranges())
    }
}

impl Hash for RangeSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ranges().hash(state);
    }
}

impl fmt::Debug for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RangeSet({self})")
    }
}

impl FromIterator<u32> for RangeSet {
    fn from_iter<T: IntoIterator<Item = u32>>(indices: T) -> Self {
        let mut set = RangeSet::new();
        for index in indices {
            set.insert(index);
        }
        set
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, &(first, last)) in self.ranges().iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// The most indices that the stepped ranges of a text, such as `1-10:2`, may name together; plain ranges
/// have no limit.
const STEPPED_INDICES_MAX: u64 = 100_000;

impl FromStr for RangeSet {
    type Err = RangeError;

    /// Reads `0-99,105` and the stepped form `1-10:2` of Slurm arrays.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let error = || RangeError(text.chars().take(80).collect());
        let number = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) {
            true => part.parse::<u32>().map_err(|_| error()),
            false => Err(error()),
        };
        if text.is_empty() {
            return Ok(RangeSet::new());
        }
        let mut ranges = Vec::new();
        let mut stepped = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once(':') {
                Some((range, step)) => (range, number(step)?),
                None => (part, 1),
            };
            let (first, last) = match range.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(range)?, number(range)?),
            };
            if last < first || step == 0 {
                return Err(error());
            }
            if step == 1 {
                ranges.push((first, last));
                continue;
            }
            stepped += u64::from((last - first) / step) + 1;
            if stepped > STEPPED_INDICES_MAX {
                return Err(error());
            }
            ranges.extend((first..=last).step_by(step as usize).map(|index| (index, index)));
        }
        Ok(RangeSet::merged(ranges))
    }
}

impl RangeSet {
    /// The set of all indices in `ranges`, in O(n log n): a hostile text may have very many parts.
    fn merged(mut ranges: Vec<(u32, u32)>) -> RangeSet {
        ranges.sort_unstable();
        let mut kept: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            match kept.last_mut() {
                Some(before) if before.1.checked_add(1).is_none_or(|next| first <= next) => {
                    before.1 = before.1.max(last)
                }
                _ => kept.push((first, last)),
            }
        }
        RangeSet::of(kept)
    }
}

impl Serialize for RangeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RangeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes_lists() {
        for (text, written) in [
            ("", ""),
            ("5", "5"),
            ("0-3,4", "0-4"),
            ("1-10:3", "1,4,7,10"),
            ("9,1-2", "1-2,9"),
            ("5-9,1-4,3-7,0-4294967295", "0-4294967295"),
        ] {
            assert_eq!(text.parse::<RangeSet>().map(|set| set.to_string()), Ok(written.to_owned()), "{text}");
        }
        for bad in ["-", "3-1", "a", "1-", ",", "1-5:0", "99999999999", "+1", "0-4294967295:2", "0-199999:2,0-3:2"] {
            assert!(bad.parse::<RangeSet>().is_err(), "{bad}");
        }
        assert_eq!("0-4294967295".parse::<RangeSet>().map(|set| set.len()), Ok(1 << 32));
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(operations in prop::collection::vec((any::<bool>(), 0u32..40), 0..200), take in 0u64..50) {
            let (mut set, mut model) = (RangeSet::new(), BTreeSet::new());
            for (insert, index) in operations {
                if insert {
                    prop_assert_eq!(set.insert(index), model.insert(index));
                } else {
                    prop_assert_eq!(set.remove(index), model.remove(&index));
                }
                prop_assert_eq!(set.len(), model.len() as u64);
                prop_assert_eq!(&set, &model.iter().copied().collect::<RangeSet>());
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            let head: Vec<u32> = model.iter().copied().take(take as usize).collect();
            prop_assert_eq!(set.take(take).iter().collect::<Vec<_>>(), head);
            prop_assert_eq!(set.take_after(None, take), set.take(take));
            prop_assert_eq!(set.take_after(set.take(take).last(), u64::MAX), if take == 0 { set.clone() } else { set.skip(take) });
            let rest: Vec<u32> = model.iter().copied().skip(take as usize).collect();
            prop_assert_eq!(set.skip(take).iter().collect::<Vec<_>>(), rest);
            prop_assert_eq!(set.to_string().parse::<RangeSet>(), Ok(set));
        }
    }
}
