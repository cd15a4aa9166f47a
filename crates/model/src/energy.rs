//! Energy of what was metered: how much, who says so, and what the grid emitted for it.

use serde::{Deserialize, Serialize};

use crate::centre::Mark;

/// The most that one reading may take: 10^14 joules, 28 GW for an hour. More is cut, so that sums fit.
pub const JOULES_MAX: u64 = 100_000_000_000_000;

/// Joules times grams for a kWh are milligrams times this.
const JOULE_G_PER_KWH_PER_MG: u64 = 3_600;

/// Energy of one reading, of the whole site: its PUE is in it where that is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Energy {
    /// How much, in joules.
    pub joules: u64,
    /// `measured` by the engine, `modelled` from what the operator says a device or core draws at work, or `declared`:
    /// the whole power cap of what was given, which is the most that it can have taken.
    pub mark: Mark,
    /// Grams of CO2 for each kWh, where the centre's grid says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carbon_g_per_kwh: Option<u32>,
}

impl Energy {
    /// CO2 in milligrams, cut to whole ones; `None` where the grid is not known.
    pub fn carbon_mg(&self) -> Option<u64> {
        let grams = self.carbon_g_per_kwh?;
        Some(self.joules.saturating_mul(u64::from(grams)) / JOULE_G_PER_KWH_PER_MG)
    }
}

/// Energy of several readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnergySum {
    /// In joules, of those that know it.
    pub joules: u64,
    /// The weakest mark of them: one that is only declared makes the sum so.
    pub mark: Mark,
    /// CO2 in milligrams, of those that know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carbon_mg: Option<u64>,
}

impl From<Energy> for EnergySum {
    fn from(energy: Energy) -> Self {
        EnergySum { joules: energy.joules, mark: energy.mark, carbon_mg: energy.carbon_mg() }
    }
}

impl EnergySum {
    /// Adds `more` to `sum`. What is not known adds nothing and is not taken for zero.
    pub fn add(sum: &mut Option<EnergySum>, more: Option<impl Into<EnergySum>>) {
        let Some(more) = more.map(Into::into) else { return };
        *sum = Some(match *sum {
            None => more,
            Some(known) => EnergySum {
                joules: known.joules.saturating_add(more.joules),
                mark: known.mark.max(more.mark),
                carbon_mg: match (known.carbon_mg, more.carbon_mg) {
                    (Some(one), Some(other)) => Some(one.saturating_add(other)),
                    (one, other) => one.or(other),
                },
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(joules: u64, mark: Mark, carbon_g_per_kwh: Option<u32>) -> Energy {
        Energy { joules, mark, carbon_g_per_kwh }
    }

    #[test]
    fn a_kwh_emits_its_grams() {
        assert_eq!(energy(3_600_000, Mark::Modelled, Some(560)).carbon_mg(), Some(560_000));
        assert_eq!(energy(6, Mark::Modelled, Some(600)).carbon_mg(), Some(1));
        assert_eq!(energy(6, Mark::Modelled, None).carbon_mg(), None);
        assert_eq!(energy(JOULES_MAX, Mark::Modelled, Some(10_000)).carbon_mg(), Some(277_777_777_777_777));
    }

    #[test]
    fn a_sum_is_as_weak_as_its_weakest_part_and_takes_nothing_for_zero() {
        let check = |parts: &[Option<Energy>], expected: Option<EnergySum>| {
            let mut sum = None;
            parts.iter().for_each(|part| EnergySum::add(&mut sum, *part));
            assert_eq!(sum, expected, "{parts:?}");
        };
        let measured = Some(energy(3_600, Mark::Measured, Some(500)));
        let declared = Some(energy(7_200, Mark::Declared, None));
        check(&[], None);
        check(&[None, None], None);
        check(&[None, measured], Some(EnergySum { joules: 3_600, mark: Mark::Measured, carbon_mg: Some(500) }));
        let both = EnergySum { joules: 10_800, mark: Mark::Declared, carbon_mg: Some(500) };
        check(&[measured, declared], Some(both));
        check(&[declared, None, measured], Some(both));
        check(&[declared], Some(EnergySum { joules: 7_200, mark: Mark::Declared, carbon_mg: None }));
        let most = Some(energy(u64::MAX, Mark::Modelled, None));
        check(&[most, most], Some(EnergySum { joules: u64::MAX, mark: Mark::Modelled, carbon_mg: None }));
    }
}
