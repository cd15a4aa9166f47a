//! Maintenance windows: what may be declared, and what is swept out with the next one.

use huisuan_model::{
    CentreId, Event, PoolId, TimeMs, Window,
    window::{NOTE_BYTES_MAX, WINDOW_MS_MAX, WINDOWS_MAX},
};

use crate::{Refusal, State};

/// What an operator asks for.
pub(crate) struct Asked<'a> {
    pub(crate) pool: Option<&'a PoolId>,
    pub(crate) from: TimeMs,
    pub(crate) until: TimeMs,
    pub(crate) note: &'a str,
}

/// A new window. Windows that have ended go with it: the journal remembers them.
pub(crate) fn add(state: &State, centre: &CentreId, asked: &Asked<'_>, now: TimeMs) -> Result<Vec<Event>, Refusal> {
    let known = state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))?;
    if let Some(pool) = asked.pool.filter(|pool| !known.pools.contains_key(*pool)) {
        return Err(Refusal::NoPool { centre: centre.clone(), pool: pool.clone() });
    }
    let over = |window: &&Window| window.until <= now;
    let open = known.windows.len() - known.windows.iter().filter(over).count();
    let wrong = match () {
        () if asked.from >= asked.until => Some("it must begin before it ends".to_owned()),
        () if asked.until <= now => Some("it has ended already".to_owned()),
        () if asked.until.since(asked.from).0 > WINDOW_MS_MAX => Some("it is longer than 366 days".to_owned()),
        () if asked.note.len() > NOTE_BYTES_MAX || asked.note.chars().any(char::is_control) => {
            Some(format!("its note is one line of at most {NOTE_BYTES_MAX} bytes"))
        }
        () if open >= WINDOWS_MAX => Some(format!("the centre has {WINDOWS_MAX} that have not ended")),
        () => None,
    };
    if let Some(why) = wrong {
        return Err(Refusal::Window { centre: centre.clone(), why });
    }
    let gone =
        known.windows.iter().filter(over).map(|window| Event::WindowRemoved { centre: centre.clone(), id: window.id });
    let mut events: Vec<Event> = gone.collect();
    let window = Window {
        id: known.window_last + 1,
        pool: asked.pool.cloned(),
        from: asked.from,
        until: asked.until,
        note: asked.note.to_owned(),
    };
    events.push(Event::WindowAdded { centre: centre.clone(), window });
    Ok(events)
}

/// Ends a window before its time, or takes one that has not begun back.
pub(crate) fn remove(state: &State, centre: &CentreId, id: u32) -> Result<Vec<Event>, Refusal> {
    let known = state.centres.get(centre).ok_or_else(|| Refusal::NoCentre(centre.clone()))?;
    if !known.windows.iter().any(|window| window.id == id) {
        return Err(Refusal::NoWindow { centre: centre.clone(), id });
    }
    Ok(vec![Event::WindowRemoved { centre: centre.clone(), id }])
}
