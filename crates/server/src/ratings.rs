//! Ratings at the server's doors: what arrives is checked against its signature and against what makers declare, and
//! what is old is measured again where nothing runs.

use huisuan_api::{signature, wire::Timestamp};
use huisuan_control::State;
use huisuan_model::{
    Alarm, AlarmKind, CentreId, Certificate, Class, Command, Doubt, DurationMs, GflopPerS, Mark, Pool, PoolId,
    Presence, Rating, TimeMs,
};

use crate::{
    http::{Failure, agents},
    identity,
    secrets::Secret,
    server::Shared,
};

/// A pool that is idle is measured again at a moment that nobody can foresee, from a day to a week after it was
/// measured last: a rate that was reached once only, to be sold, does not last.
const SPOT_FIRST_MS: u64 = 24 * 3_600_000;
const SPOT_LAST_MS: u64 = 7 * SPOT_FIRST_MS;

/// Who joins measures the precision of its class alone, so that it takes work within a second. The others follow when
/// the pool has been idle for so long since.
const REST_AFTER_MS: u64 = 10 * 60_000;

/// What no measurement of a part may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCeiling {
    /// The part.
    pub pool: PoolId,
    /// The class in whose unit it is.
    pub class: Class,
    /// So much, in GFLOP/s ...
    pub ceiling: GflopPerS,
    /// ... of so many thousandths of a device, or of a core for processors.
    pub thousandths: u64,
    /// Who declares it.
    pub source: String,
}

impl PartCeiling {
    /// Why a rating of a pool of this part cannot be true.
    fn doubt(&self, pool: &Pool, rating: &Rating) -> Option<Doubt> {
        if self.pool != pool.id || self.class != pool.class || rating.mark != Mark::Measured || self.thousandths == 0 {
            return None;
        }
        let has = if pool.devices.is_zero() { pool.cores.0 } else { pool.devices.0 };
        let ceiling = u128::from(self.ceiling.0) * u128::from(has) / u128::from(self.thousandths);
        let ceiling = GflopPerS(u64::try_from(ceiling).unwrap_or(u64::MAX));
        (rating.sustained > ceiling).then(|| Doubt::AbovePart {
            sustained: rating.sustained,
            ceiling,
            source: self.source.clone(),
        })
    }
}

/// A rating as it goes to the writer: whatever doubt the agent wrote into it is gone, and what is wrong with it by its
/// signature or its part is there.
pub(crate) async fn received(
    shared: &Shared,
    centre: &CentreId,
    pool: &PoolId,
    rating: Rating,
) -> Result<Rating, Failure> {
    let forged = rating.certificate.is_some() && !signature::verifies(centre, pool, &rating);
    let (name, id) = (centre.clone(), pool.clone());
    let known = shared.writer.look(move |state| state.centres().get(&name)?.pools.get(&id).cloned()).await?;
    let above = || {
        let known = known.as_ref()?;
        shared.ceilings.get()?.iter().find_map(|ceiling| ceiling.doubt(known, &rating))
    };
    let doubt = if forged { Some(Doubt::Signature) } else { above() };
    if let Some(doubt) = &doubt {
        tracing::warn!(%centre, %pool, %doubt, "a rating is not believed; nothing new is placed there");
    }
    Ok(Rating { doubt, ..rating })
}

/// Whether a pool has to be measured when its agent says hello.
pub(crate) fn missing(rating: Option<&Rating>) -> bool {
    rating.is_none_or(|rating| matches!(rating.doubt, Some(Doubt::Expired { .. })))
}

/// One pool at a look.
struct Looked {
    centre: CentreId,
    pool: PoolId,
    idle: bool,
    /// When it was measured last; nothing for what is declared, which has nothing to prove.
    measured_at: Option<TimeMs>,
    /// Whether it is time to measure it again.
    due: bool,
    /// When its rating ended, if it did and still is in force.
    expired: Option<TimeMs>,
    /// Whether there is an alarm that its agent does not measure it.
    alarmed: bool,
}

/// Takes ratings that are too old out of force, and has idle pools measured again: those past half of their time, and
/// all from time to time, unannounced.
pub(crate) async fn renew(shared: &Shared) {
    let now = shared.clock.now();
    let Ok(mut pools) = shared.writer.look(move |state| looked(state, now)).await else { return };
    for pool in &mut pools {
        pool.due |= pool.measured_at.is_some_and(|at| proof_due(&shared.secret, &pool.centre, &pool.pool, at, now));
    }
    for Looked { centre, pool, idle, due, expired, alarmed, .. } in pools {
        if idle {
            shared.hub.measure_idle(&centre, &pool, due, now);
        } else {
            shared.hub.no_question(&centre, &pool);
        }
        if let Some(since) = shared.hub.ignored_since(&centre, &pool, now).filter(|_| !alarmed) {
            ignored(shared, &centre, &pool, since).await;
        }
        if let Some(at) = expired {
            tracing::info!(%centre, %pool, "a rating is too old");
            let command = Command::DoubtRating { centre, pool, doubt: Doubt::Expired { at } };
            if let Err(error) = shared.writer.execute(identity::server(), command).await {
                tracing::warn!(%error, "the end of a rating is not recorded");
            }
        }
    }
}

/// Whoever does not let itself be measured may have something to hide.
async fn ignored(shared: &Shared, centre: &CentreId, pool: &PoolId, since: TimeMs) {
    let detail = format!("asked to measure it since {}, nothing runs there, and no rate came", Timestamp(since));
    let alarm = Alarm { kind: AlarmKind::MeasurementIgnored, subject: pool.to_string(), detail, since: TimeMs(0) };
    if let Err(error) = agents::raise(shared, centre, alarm).await {
        tracing::warn!(?error, %centre, %pool, "an alarm is not recorded");
    }
}

fn alarmed(state: &State, centre: &CentreId, pool: &PoolId) -> bool {
    let alarms = state.centres().get(centre).map(|centre| &*centre.alarms).unwrap_or_default();
    alarms.iter().any(|alarm| alarm.kind == AlarmKind::MeasurementIgnored && alarm.subject == pool.as_str())
}

fn looked(state: &State, now: TimeMs) -> Vec<Looked> {
    let present = state.centres().values().filter(|centre| centre.presence() == Presence::Present);
    let pools = present.flat_map(|centre| centre.pools.iter().map(move |(id, pool)| (&centre.id, id, pool)));
    let rated =
        pools.filter_map(|(centre, id, pool)| Some((centre, id, pool.devices.is_zero(), pool.rating.as_ref()?)));
    let look = |(centre, pool, cores, rating): (&CentreId, &PoolId, bool, &Rating)| Looked {
        idle: state.used(centre, pool).attempts == 0,
        measured_at: (rating.mark == Mark::Measured).then_some(rating.rated_at),
        due: due(rating, now) || cores && rest_due(rating, now),
        alarmed: alarmed(state, centre, pool),
        expired: if rating.trusted() { expired_at(rating, now) } else { None },
        centre: centre.clone(),
        pool: pool.clone(),
    };
    rated.map(look).collect()
}

/// Whether a measured pool is to be put to the proof. Who says that it was measured in times to come does not get round
/// it by that.
fn proof_due(secret: &Secret, centre: &CentreId, pool: &PoolId, measured_at: TimeMs, now: TimeMs) -> bool {
    measured_at > now.after(DurationMs(SPOT_FIRST_MS)) || spot(secret, centre, pool, measured_at) <= now
}

/// When a measured pool is put to the proof.
fn spot(secret: &Secret, centre: &CentreId, pool: &PoolId, measured_at: TimeMs) -> TimeMs {
    let drawn = secret.draw(&format!("spot/{centre}/{pool}/{}", measured_at.0));
    measured_at.after(DurationMs(SPOT_FIRST_MS + drawn % (SPOT_LAST_MS - SPOT_FIRST_MS)))
}

fn expired_at(rating: &Rating, now: TimeMs) -> Option<TimeMs> {
    let at = rating.certificate.as_ref()?.expires_at;
    rating.expired(now).then_some(at)
}

/// Whether half of a rating's time is over.
fn due(rating: &Rating, now: TimeMs) -> bool {
    let Some(certificate) = &rating.certificate else { return false };
    let whole_ms = certificate.expires_at.0.saturating_sub(rating.rated_at.0);
    now.0.saturating_sub(rating.rated_at.0) >= whole_ms / 2
}

/// Whether a rating of processors has one precision and no memory, and it is time for the rest.
fn rest_due(rating: &Rating, now: TimeMs) -> bool {
    let first = |certificate: &Certificate| certificate.rates.len() == 1 && certificate.bandwidth_mb_per_s.is_none();
    rating.certificate.as_deref().is_some_and(first) && now >= rating.rated_at.after(DurationMs(REST_AFTER_MS))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use huisuan_model::{Bytes, MilliDevices, Millicores, Precision, PrecisionRate};

    use super::*;

    fn rating(sustained: u64) -> Rating {
        let certificate = Certificate { expires_at: TimeMs(1_100), ..Certificate::default() };
        Rating {
            certificate: Some(Arc::new(certificate)),
            ..Rating::plain(GflopPerS(sustained), GflopPerS(0), "test/1", Mark::Measured, TimeMs(100))
        }
    }

    #[test]
    fn a_part_bounds_what_so_many_of_it_can_do() {
        let id = PoolId::new("A100-SXM4-80G").expect("a name");
        let ceiling = PartCeiling {
            pool: id.clone(),
            class: Class::Ai,
            ceiling: GflopPerS(312_000),
            thousandths: 1_000,
            source: "data sheet".into(),
        };
        let pool = Pool {
            id,
            class: Class::Ai,
            cores: Millicores(64_000),
            memory: Bytes(1 << 40),
            devices: MilliDevices(8_000),
            device_memory: Bytes(80 << 30),
            rating: None,
            images: false,
            topology: None,
        };
        let doubt = |pool: &Pool, rating: &Rating| ceiling.doubt(pool, rating).map(|doubt| doubt.code());
        assert_eq!(doubt(&pool, &rating(8 * 312_000)), None);
        assert_eq!(doubt(&pool, &rating(8 * 312_000 + 1)), Some("above-part"));
        assert_eq!(doubt(&pool, &Rating { mark: Mark::Declared, ..rating(u64::MAX) }), None, "said, not measured");
        let other = Pool { id: PoolId::new("other").expect("a name"), ..pool };
        assert_eq!(doubt(&other, &rating(u64::MAX)), None);
    }

    #[test]
    fn a_rating_is_renewed_from_half_of_its_time_on() {
        assert!(!due(&rating(1), TimeMs(599)) && due(&rating(1), TimeMs(600)));
        assert_eq!(expired_at(&rating(1), TimeMs(1_099)), None);
        assert_eq!(expired_at(&rating(1), TimeMs(1_100)), Some(TimeMs(1_100)));
        let plain = Rating { certificate: None, ..rating(1) };
        assert!(!due(&plain, TimeMs(i64::MAX)) && expired_at(&plain, TimeMs(i64::MAX)).is_none());
    }

    #[test]
    fn what_joining_left_out_is_measured_once_it_is_quiet() {
        let one = PrecisionRate { precision: Precision::Fp64, sustained: None, nameplate: None };
        let check = |rates: usize, bandwidth_mb_per_s: Option<u64>, minutes: i64, expected: bool| {
            let known = Certificate { rates: vec![one.clone(); rates], bandwidth_mb_per_s, ..Certificate::default() };
            let rating = Rating { certificate: Some(Arc::new(known)), ..rating(1) };
            let now = TimeMs(rating.rated_at.0 + minutes * 60_000);
            assert_eq!(rest_due(&rating, now), expected, "{rates} rates, {bandwidth_mb_per_s:?}, {minutes} minutes");
        };
        check(1, None, 9, false);
        check(1, None, 10, true);
        check(5, None, 10, false);
        check(1, Some(9), 10, false);
        check(0, None, 10, false);
    }

    #[test]
    fn a_measured_pool_is_put_to_the_proof_when_nobody_expects_it() {
        let (centre, pool) = (CentreId::new("hpc-1").expect("a name"), PoolId::new("cpu:x").expect("a name"));
        let folder = tempfile::tempdir().expect("a folder");
        let secret = Secret::of(folder.path()).expect("a secret");
        let at = |measured_at| spot(&secret, &centre, &pool, TimeMs(measured_at)).0 - measured_at;
        let moments: Vec<i64> = (0..1_000).map(at).collect();
        let (day, week) = (SPOT_FIRST_MS as i64, SPOT_LAST_MS as i64);
        assert!(moments.iter().all(|moment| (day..week).contains(moment)), "{moments:?}");
        // About as many on each of the six days, and another moment after each measurement.
        for number in 1..7 {
            let here = moments.iter().filter(|moment| **moment / day == number).count();
            assert!((90..250).contains(&here), "day {number}: {here} of 1000");
        }
        assert_eq!(at(5), at(5), "looks do not draw again");
        let due = |measured_at, now| proof_due(&secret, &centre, &pool, TimeMs(measured_at), TimeMs(now));
        assert!(!due(0, 0) && !due(0, day - 1) && due(0, week));
        assert!(!due(day, 0) && due(day + 1, 0), "clocks may differ, but not by more than a day");
    }

    #[test]
    fn hello_asks_for_what_is_missing_or_too_old() {
        assert!(missing(None) && !missing(Some(&rating(1))));
        assert!(missing(Some(&Rating { doubt: Some(Doubt::Expired { at: TimeMs(0) }), ..rating(1) })));
        assert!(!missing(Some(&Rating { doubt: Some(Doubt::Signature), ..rating(1) })), "that is for an operator");
    }
}
