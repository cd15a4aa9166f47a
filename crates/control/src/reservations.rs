//! Reservations in advance: what may be kept, for whom, and what is swept out with the next one. They are part of their
//! centre, as its windows are.

use huisuan_model::{
    AdvanceReservation, AskedReservation, Centre, CentreId, CentreState, Event, Job, JobSpec, MilliDevices, Millicores,
    Placement, Pool, ReservationId, Shape, Tenant, TenantId, TimeMs,
    advance::{AHEAD_MS_MAX, RESERVATIONS_MAX},
    quantity::{Bytes, mul_div},
    window::NOTE_BYTES_MAX,
};
use huisuan_schedule::{Amounts, Demand};

use crate::{Refusal, State, contracts, snapshot::pool_view, tenants};

/// Keeps what is asked for at the cheapest pool that has it all the time. Reservations of its centre that have ended go
/// with it: the journal remembers them.
pub(crate) fn add(state: &State, asked: &AskedReservation, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let tenant = state.tenants.get(&asked.tenant).ok_or_else(|| Refusal::NoTenant(asked.tenant.clone()))?;
    tenants::open(tenant)?;
    if asked.own && !tenant.may_reserve {
        return Err(Refusal::MayNotReserve(tenant.id.clone()));
    }
    sound(asked, now)?;
    named(state, asked)?;
    let mut best: Option<(i64, &Centre, &Pool, Amounts)> = None;
    let mut lacks = Vec::new();
    let meant = |centre: &&Centre| asked.centre.as_ref().is_none_or(|wanted| *wanted == centre.id);
    for centre in state.centres.values().filter(meant) {
        let wanted = |pool: &&Pool| {
            asked.pool.as_ref().is_none_or(|wanted| *wanted == pool.id)
                && asked.class.is_none_or(|class| class == pool.class)
        };
        for pool in centre.pools.values().filter(wanted) {
            let price = contracts::price(state, &tenant.id, (centre, pool), (asked.from, asked.until)).0;
            match keeps(state, tenant, (centre, pool), asked, now) {
                Ok(amounts) if best.is_none_or(|best| price < best.0) => best = Some((price, centre, pool, amounts)),
                Ok(_) => {}
                Err(why) => lacks.push(format!("{} of {}: {why}", pool.id, centre.id)),
            }
        }
    }
    let Some((_, centre, pool, amounts)) = best else {
        let detail = if lacks.is_empty() { "no pool is of this kind".to_owned() } else { lacks.join("; ") };
        return Err(Refusal::NothingToReserve { detail });
    };
    let over = centre.reservations.iter().filter(|known| known.until <= now);
    let gone = over.map(|known| Event::ReservationRemoved { centre: centre.id.clone(), id: known.id });
    let last = state.centres.values().map(|centre| centre.reservation_last).max().unwrap_or(0);
    let reservation = AdvanceReservation {
        id: ReservationId(last + 1),
        tenant: tenant.id.clone(),
        pool: pool.id.clone(),
        cores: amounts.cores,
        memory: amounts.memory,
        devices: amounts.devices,
        from: asked.from,
        until: asked.until,
        note: asked.note.clone(),
    };
    Ok(gone.chain([Event::ReservationAdded { centre: centre.id.clone(), reservation }]).collect())
}

/// Ends a reservation before its time, or takes one that has not begun back. What its jobs run goes on.
pub(crate) fn cancel(state: &State, id: ReservationId, tenant: Option<&TenantId>) -> Result<Vec<Event>, Refusal> {
    let found = find(state, id).filter(|(_, known)| tenant.is_none_or(|tenant| *tenant == known.tenant));
    let (centre, _) = found.ok_or(Refusal::NoReservation(id))?;
    Ok(vec![Event::ReservationRemoved { centre: centre.id.clone(), id }])
}

/// Refuses a job that names a reservation in which it can never run.
pub(crate) fn usable(
    state: &State,
    tenant: &TenantId,
    spec: &JobSpec,
    shape: &Shape,
    now: TimeMs,
) -> Result<(), Refusal> {
    let Some(reservation) = spec.reservation else { return Ok(()) };
    let found = find(state, reservation).filter(|(_, known)| known.tenant == *tenant);
    let (centre, known) = found.ok_or(Refusal::UnknownReservation(reservation))?;
    let refuse = |why: String| Err(Refusal::OutsideReservation { reservation, why });
    if known.until < known.from.max(now).after(spec.walltime) {
        let left = known.until.since(known.from.max(now)).0;
        return refuse(format!(
            "it lasts for {left} ms from when the job could start, its walltime is {} ms",
            spec.walltime.0
        ));
    }
    let named = spec.centres.is_empty() || spec.centres.contains(&centre.id);
    if !named || spec.class.is_some_and(|class| class != centre.class) {
        return refuse(format!("it is at {}, of class {}, where the job may not go", centre.id, centre.class));
    }
    let demand = centre.pools.get(&known.pool).and_then(|pool| huisuan_schedule::demand(pool, shape));
    let Some(demand) = demand else {
        return refuse(format!("pool {} of {} cannot run the job", known.pool, centre.id));
    };
    let need = Amounts::default().plus(each(&demand), u64::from(shape.gang.unwrap_or(1)));
    if need.less(amounts(known)) != Amounts::default() {
        return refuse(format!("what starts together needs {}, it keeps {}", told(need), told(amounts(known))));
    }
    Ok(())
}

/// Whether a placement keeps to reservations: its own, where its job names one, and otherwise those of others.
pub(crate) fn respected(state: &State, job: &Job, placement: &Placement, demand: &Demand, now: TimeMs) -> bool {
    let Some(centre) = state.centres.get(&placement.centre) else { return false };
    let (end, tasks) = (now.after(job.spec.walltime), placement.tasks.len());
    let Some(id) = job.spec.reservation else {
        let meets = |known: &AdvanceReservation| known.pool == placement.pool && known.meets(now, end);
        let pool = centre.pools.get(&placement.pool).filter(|_| centre.reservations.iter().any(meets));
        return pool.is_none_or(|pool| pool_view(state, centre, pool).room_beside_reserved(demand, now, end) >= tasks);
    };
    let Some(known) = centre.reservations.iter().find(|known| known.id == id) else { return false };
    let held = state.used.reserved(id).plus(each(demand), tasks);
    known.pool == placement.pool
        && known.tenant == job.tenant
        && known.holds(now, job.spec.walltime)
        && held.less(amounts(known)) == Amounts::default()
}

/// What a reservation keeps.
pub(crate) fn amounts(known: &AdvanceReservation) -> Amounts {
    Amounts { cores: known.cores, memory: known.memory, devices: known.devices }
}

fn find(state: &State, id: ReservationId) -> Option<(&Centre, &AdvanceReservation)> {
    let mut all =
        state.centres.values().flat_map(|centre| centre.reservations.iter().map(move |known| (centre, known)));
    all.find(|(_, known)| known.id == id)
}

fn each(demand: &Demand) -> Amounts {
    Amounts { cores: demand.cores, memory: demand.memory, devices: demand.devices }
}

/// Refuses what makes no sense anywhere.
fn sound(asked: &AskedReservation, now: TimeMs) -> Result<(), Refusal> {
    let why = match () {
        () if asked.from >= asked.until => "it must begin before it ends".to_owned(),
        () if asked.until <= now => "it has ended already".to_owned(),
        () if asked.until.since(asked.from).0 > AHEAD_MS_MAX => "it is longer than 366 days".to_owned(),
        () if asked.from.since(now).0 > AHEAD_MS_MAX => "it begins in more than 366 days".to_owned(),
        () if asked.note.len() > NOTE_BYTES_MAX || asked.note.chars().any(char::is_control) => {
            format!("its note is one line of at most {NOTE_BYTES_MAX} bytes")
        }
        () if [asked.cores.map(|n| n.0), asked.devices.map(|n| n.0), asked.memory.map(|n| n.0)].contains(&Some(0)) => {
            "an amount of it is none".to_owned()
        }
        () if asked.cores.is_none() && asked.devices.is_none() => "it asks for neither cores nor devices".to_owned(),
        () => return Ok(()),
    };
    Err(Refusal::Reservation { why })
}

fn named(state: &State, asked: &AskedReservation) -> Result<(), Refusal> {
    let Some(wanted) = &asked.centre else { return Ok(()) };
    let centre = state.centres.get(wanted).ok_or_else(|| Refusal::NoCentre(wanted.clone()))?;
    match asked.pool.as_ref().filter(|pool| !centre.pools.contains_key(pool)) {
        Some(pool) => Err(Refusal::NoPool { centre: wanted.clone(), pool: pool.clone() }),
        None => Ok(()),
    }
}

/// What would be kept of a pool, or why it cannot be.
fn keeps(
    state: &State,
    tenant: &Tenant,
    (centre, pool): (&Centre, &Pool),
    asked: &AskedReservation,
    now: TimeMs,
) -> Result<Amounts, String> {
    let open = centre.reservations.iter().filter(|known| known.until > now).count();
    let rated = pool.rating.as_ref().is_some_and(|rating| rating.trusted());
    let shut = centre.windows.iter().find(|window| {
        window.pool.as_ref().is_none_or(|closed| *closed == pool.id)
            && window.from.max(asked.from) < window.until.min(asked.until)
    });
    match () {
        () if centre.state != CentreState::Active => return Err("the centre is paused".to_owned()),
        () if centre.engine.opaque() => return Err("its engine has a queue of its own".to_owned()),
        () if open >= RESERVATIONS_MAX => return Err(format!("the centre has {open} that have not ended")),
        () if !rated => return Err("it is not rated".to_owned()),
        () if shut.is_some() => return Err("it closes for maintenance in that time".to_owned()),
        () if pool.devices.is_zero() && asked.devices.is_some() => return Err("it has no devices".to_owned()),
        () if !pool.devices.is_zero() && asked.devices.is_none() => {
            return Err("it is counted by devices, and none are asked for".to_owned());
        }
        () => {}
    }
    let amounts = wanted(pool, asked);
    let has = Amounts { cores: pool.cores, memory: pool.memory, devices: pool.devices };
    let free = pool_view(state, centre, pool).free_between(now, asked.from.max(now), asked.until);
    let lacking = amounts.less(free);
    if lacking != Amounts::default() {
        return Err(format!(
            "it has {}, of which {} stay free all the time, {} are asked for",
            told(has),
            told(free),
            told(amounts)
        ));
    }
    within_quota(state, tenant, amounts, asked)?;
    Ok(amounts)
}

/// Cores and memory that are not named follow the devices, or the cores.
fn wanted(pool: &Pool, asked: &AskedReservation) -> Amounts {
    let devices = asked.devices.unwrap_or(MilliDevices::ZERO);
    let (part, whole) = match devices.0 {
        0 => (asked.cores.map_or(0, |cores| cores.0), pool.cores.0),
        part => (part, pool.devices.0),
    };
    let share = |all: u64| mul_div(all, part.min(whole), whole.max(1));
    Amounts {
        cores: asked.cores.unwrap_or(Millicores(share(pool.cores.0))),
        memory: asked.memory.unwrap_or(Bytes(share(pool.memory.0))),
        devices,
    }
}

/// What a tenant has reserved at once stays within what it may hold.
fn within_quota(state: &State, tenant: &Tenant, more: Amounts, asked: &AskedReservation) -> Result<(), String> {
    let all = state.centres.values().flat_map(|centre| &centre.reservations);
    let own = all.filter(|known| known.tenant == tenant.id && known.meets(asked.from, asked.until));
    let sum = own.fold(more, |sum, known| sum.plus(amounts(known), 1));
    let over = tenant.quota_cores.is_some_and(|most| sum.cores > most)
        || tenant.quota_devices.is_some_and(|most| sum.devices > most);
    match over {
        true => Err(format!("`{}` would have {} reserved at once, above its quota", tenant.id, told(sum))),
        false => Ok(()),
    }
}

/// How many reservations of a tenant have not ended.
pub(crate) fn open_of(state: &State, tenant: &TenantId) -> usize {
    let all = state.centres.values().flat_map(|centre| &centre.reservations);
    all.filter(|known| known.tenant == *tenant && known.until > state.seen_at).count()
}

/// For people.
fn told(amounts: Amounts) -> String {
    let Amounts { cores, memory, devices } = amounts;
    let whole = |thousandths: u64| format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    let count = |thousandths| whole(thousandths).trim_end_matches('0').trim_end_matches('.').to_owned();
    let devices = if devices.is_zero() { String::new() } else { format!("{} devices, ", count(devices.0)) };
    format!("{devices}{} cores and {} MiB", count(cores.0), memory.0 >> 20)
}

/// Where a reservation is, and until when it keeps something, for those that count what its jobs hold.
pub(crate) fn of_centres(state: &State) -> Vec<(ReservationId, TimeMs)> {
    let all = state.centres.values().flat_map(|centre| &centre.reservations);
    all.map(|known| (known.id, known.until)).collect()
}

/// Applies that a centre keeps something, or no longer does.
pub(crate) fn apply(state: &mut State, centre: &CentreId, event: &Event) {
    state.touched.note(|rows| rows.centres.insert(centre.clone()));
    let known = state.centres.get_mut(centre).expect("an event names a known centre");
    match event {
        Event::ReservationAdded { reservation, .. } => {
            known.reservation_last = reservation.id.0;
            state.used.reserve(reservation.id, reservation.until);
            known.reservations.push(reservation.clone());
        }
        Event::ReservationRemoved { id, .. } => {
            known.reservations.retain(|known| known.id != *id);
            let named = |job: &&Job| job.spec.reservation == Some(*id);
            let attempts = state.attempts.values();
            let own = attempts.filter_map(|attempt| Some((&**attempt, &**state.jobs.get(&attempt.id.job)?)));
            state.used.release(*id, own.filter(|(_, job)| named(job)));
        }
        _ => {}
    }
}
