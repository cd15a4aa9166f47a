//! What an operator declares of a centre in the network, on the wire: place, links, power, factors. The same fields are
//! asked for and shown.

use std::collections::BTreeMap;

use huisuan_model::{
    ApplicationId, Centre, CentreId, Facts, Money, Place, PoolId, TimeMs,
    facts::{Curve, Link, Power},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a centre stands, its links, its power and its factors. What is left out is not declared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FactsFields {
    /// Degrees, north positive; with `longitude`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees, east positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// Links to other centres; each goes both ways unless the other one declares its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkFields>,
    /// Its power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerFields>,
    /// What kinds of work were measured to reach on a pool, of what its rating says: by pool, then by the name of the
    /// application. Quotes are refined by them, accounts are not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub factors: BTreeMap<String, BTreeMap<String, f64>>,
}

/// A link to another centre.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkFields {
    /// The other end.
    pub to: String,
    /// There and back.
    pub round_trip_ms: f64,
    /// What it carries for the network.
    pub gbit_per_s: f64,
    /// What 10^9 bytes cost.
    #[serde(default)]
    pub price_cny_per_gb: f64,
}

/// The power of a centre.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerFields {
    /// Minutes that the hours of the curves are ahead of UTC; those of the centre's zone now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_offset_minutes: Option<i32>,
    /// What a kWh costs: one figure, or one for every hour of the local day.
    pub price_cny_per_kwh: Vec<f64>,
    /// Grams of CO2 for a kWh, likewise.
    pub carbon_g_per_kwh: Vec<f64>,
    /// Power of the whole site for each part that reaches machines.
    pub pue: f64,
    /// Watts that one device of a pool (one core, where it has no devices) draws at work beyond idling, by pool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub watts: BTreeMap<String, f64>,
}

impl FactsFields {
    /// What is declared of a centre; `None` when nothing is.
    pub fn of(centre: &Centre) -> Option<FactsFields> {
        let degrees = |microdegrees: i32| f64::from(microdegrees) / 1e6;
        let facts = centre.facts.as_deref();
        (centre.place.is_some() || facts.is_some()).then(|| FactsFields {
            latitude: centre.place.map(|place| degrees(place.latitude_microdegrees)),
            longitude: centre.place.map(|place| degrees(place.longitude_microdegrees)),
            links: facts.map_or_else(Vec::new, |facts| facts.links.iter().map(LinkFields::of).collect()),
            power: facts.and_then(|facts| facts.power.as_deref()).map(PowerFields::of),
            factors: facts.map_or_else(BTreeMap::new, factors_of),
        })
    }

    /// In the network's own units; `zone` is the centre's, in which hours are counted that do not say.
    ///
    /// # Errors
    /// With the field, what it is and what would be right. Whether figures make sense together is for `control`.
    pub fn facts(&self, zone: &str, now: TimeMs) -> Result<(Option<Place>, Facts), String> {
        let place = match (self.latitude, self.longitude) {
            (None, None) => None,
            (Some(latitude), Some(longitude)) => Some(Place {
                latitude_microdegrees: micro("latitude", latitude, 90.0)?,
                longitude_microdegrees: micro("longitude", longitude, 180.0)?,
            }),
            _ => return Err("`latitude` and `longitude` are given together".to_owned()),
        };
        let links = self.links.iter().map(LinkFields::link).collect::<Result<_, _>>()?;
        let power = self.power.as_ref().map(|power| power.power(zone, now)).transpose()?.map(Box::new);
        let factors = self.factors.iter().map(|(pool, own)| {
            let id = PoolId::new(pool).map_err(|error| format!("`factors` names `{pool}`: {error}"))?;
            Ok::<_, String>((id, own.iter().map(factor).collect::<Result<_, _>>()?))
        });
        Ok((place, Facts { links, power, factors: factors.collect::<Result<_, _>>()? }))
    }
}

fn factors_of(facts: &Facts) -> BTreeMap<String, BTreeMap<String, f64>> {
    let shown = |own: &BTreeMap<ApplicationId, u32>| {
        own.iter().map(|(application, permille)| (application.to_string(), f64::from(*permille) / 1e3)).collect()
    };
    facts.factors.iter().map(|(pool, own)| (pool.to_string(), shown(own))).collect()
}

fn factor((application, factor): (&String, &f64)) -> Result<(ApplicationId, u32), String> {
    let id = ApplicationId::new(application).map_err(|error| format!("`factors` names `{application}`: {error}"))?;
    let permille = scaled(&format!("factors.{application}"), *factor, 10.0, 1e3)?;
    Ok((id, u32::try_from(permille).unwrap_or(u32::MAX)))
}

impl LinkFields {
    fn of(link: &Link) -> LinkFields {
        LinkFields {
            to: link.to.to_string(),
            round_trip_ms: link.round_trip_us as f64 / 1e3,
            gbit_per_s: link.bytes_per_s as f64 * 8.0 / 1e9,
            price_cny_per_gb: link.price_per_gb.0 as f64 / 1e6,
        }
    }

    fn link(&self) -> Result<Link, String> {
        let to = CentreId::new(&self.to).map_err(|error| format!("`links.to` is `{}`: {error}", self.to))?;
        Ok(Link {
            to,
            round_trip_us: scaled("links.round_trip_ms", self.round_trip_ms, 60_000.0, 1e3)?,
            bytes_per_s: scaled("links.gbit_per_s", self.gbit_per_s, 8e6, 1e9 / 8.0)?,
            price_per_gb: money("links.price_cny_per_gb", self.price_cny_per_gb)?,
        })
    }
}

impl PowerFields {
    fn of(power: &Power) -> PowerFields {
        let prices = power.price_per_kwh.iter().map(|price| price.0 as f64 / 1e6).collect();
        let carbon = power.carbon_g_per_kwh.iter().map(|grams| f64::from(*grams)).collect();
        PowerFields {
            utc_offset_minutes: Some(power.offset_minutes),
            price_cny_per_kwh: shortened(prices),
            carbon_g_per_kwh: shortened(carbon),
            pue: f64::from(power.pue_permille) / 1e3,
            watts: power.draw_mw.iter().map(|(pool, draw)| (pool.to_string(), *draw as f64 / 1e3)).collect(),
        }
    }

    fn power(&self, zone: &str, now: TimeMs) -> Result<Power, String> {
        let prices = curve("power.price_cny_per_kwh", &self.price_cny_per_kwh)?;
        let grams = curve("power.carbon_g_per_kwh", &self.carbon_g_per_kwh)?;
        let mut price_per_kwh = [Money::ZERO; 24];
        let mut carbon_g_per_kwh = [0; 24];
        for hour in 0..24 {
            price_per_kwh[hour] = money("power.price_cny_per_kwh", prices[hour])?;
            let carbon = scaled("power.carbon_g_per_kwh", grams[hour], 10_000.0, 1.0)?;
            carbon_g_per_kwh[hour] = u32::try_from(carbon).unwrap_or(u32::MAX);
        }
        let draw = |(pool, watts): (&String, &f64)| {
            let id = PoolId::new(pool).map_err(|error| format!("`power.watts` names `{pool}`: {error}"))?;
            Ok::<_, String>((id, scaled("power.watts", *watts, 1e6, 1e3)?))
        };
        Ok(Power {
            offset_minutes: self.utc_offset_minutes.map_or_else(|| offset_of(zone, now), Ok)?,
            price_per_kwh,
            carbon_g_per_kwh,
            pue_permille: u32::try_from(scaled("power.pue", self.pue, 100.0, 1e3)?).unwrap_or(u32::MAX),
            draw_mw: self.watts.iter().map(draw).collect::<Result<_, _>>()?,
        })
    }
}

/// Minutes that a zone is ahead of UTC at a moment.
fn offset_of(zone: &str, now: TimeMs) -> Result<i32, String> {
    let unknown = || format!("`power.utc_offset_minutes` is not told, and zone `{zone}` is not known here");
    let zone = TimeZone::get(zone).map_err(|_| unknown())?;
    let now = Timestamp::from_millisecond(now.0).map_err(|_| unknown())?;
    Ok(zone.to_offset(now).seconds() / 60)
}

/// One figure where all hours are alike.
fn shortened(hours: Vec<f64>) -> Vec<f64> {
    if hours.iter().all(|figure| *figure == hours[0]) { hours[..1].to_vec() } else { hours }
}

fn curve(field: &str, figures: &[f64]) -> Result<Curve<f64>, String> {
    match figures {
        [one] => Ok([*one; 24]),
        many => many
            .try_into()
            .map_err(|_| format!("`{field}` has {} figures: one, or one for each of 24 hours", figures.len())),
    }
}

fn scaled(field: &str, value: f64, most: f64, units: f64) -> Result<u64, String> {
    if !(0.0..=most).contains(&value) {
        return Err(format!("`{field}` is {value}: a number from 0 to {most}"));
    }
    // A cast saturates, and the bounds above keep it from doing so.
    Ok((value * units).round() as u64)
}

fn money(field: &str, value: f64) -> Result<Money, String> {
    if !(-1e6..=1e6).contains(&value) {
        return Err(format!("`{field}` is {value}: a number from -1000000 to 1000000"));
    }
    Ok(Money((value * 1e6).round() as i64))
}

fn micro(field: &str, degrees: f64, most: f64) -> Result<i32, String> {
    if !(-most..=most).contains(&degrees) {
        return Err(format!("`{field}` is {degrees}: degrees from -{most} to {most}"));
    }
    Ok((degrees * 1e6).round() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> FactsFields {
        FactsFields {
            latitude: Some(34.75),
            longitude: Some(113.62),
            links: vec![LinkFields { to: "b".into(), round_trip_ms: 7.5, gbit_per_s: 400.0, price_cny_per_gb: 0.25 }],
            power: Some(PowerFields {
                utc_offset_minutes: Some(480),
                price_cny_per_kwh: vec![0.45],
                carbon_g_per_kwh: (0..24).map(f64::from).collect(),
                pue: 1.25,
                watts: BTreeMap::from([("A100".to_owned(), 350.5)]),
            }),
            factors: [("A100".to_owned(), [("llm-train".to_owned(), 0.86)].into())].into(),
        }
    }

    #[test]
    fn facts_come_back_as_they_were_declared() {
        let (place, facts) = fields().facts("nowhere", TimeMs(0)).expect("sound fields");
        let tariff = huisuan_model::Tariff { currency: "CNY".into(), price_per_p_h: Money(1) };
        let id = CentreId::new("a").expect("a name");
        let class = huisuan_model::Class::Ai;
        let mut centre = Centre::new(id, class, huisuan_model::EngineKind::Local, "Asia/Shanghai", tariff);
        assert_eq!(FactsFields::of(&centre), None);
        (centre.place, centre.facts) = (place, Some(facts.into()));
        assert_eq!(FactsFields::of(&centre), Some(fields()));
    }

    #[test]
    fn faults_name_the_field() {
        let check = |change: fn(&mut FactsFields), part: &str| {
            let mut fields = fields();
            change(&mut fields);
            let problem = fields.facts("nowhere", TimeMs(0)).expect_err(part);
            assert!(problem.contains(part), "{problem}");
        };
        check(|fields| fields.power.as_mut().expect("it has one").utc_offset_minutes = None, "zone `nowhere`");
        check(|fields| fields.longitude = None, "together");
        check(
            |fields| drop(fields.factors.insert("A100".into(), [("llm".into(), 11.0)].into())),
            "`factors.llm` is 11",
        );
        check(|fields| drop(fields.factors.insert("A100".into(), [("a b".into(), 1.0)].into())), "names `a b`");
        check(|fields| fields.latitude = Some(90.5), "`latitude` is 90.5");
        check(|fields| fields.links[0].gbit_per_s = -1.0, "`links.gbit_per_s` is -1");
        check(|fields| fields.links[0].to = String::new(), "`links.to`");
        check(|fields| fields.power.as_mut().expect("it has one").pue = f64::NAN, "`power.pue` is NaN");
        check(|fields| fields.power.as_mut().expect("it has one").price_cny_per_kwh.push(1.0), "has 2 figures");
    }
}
