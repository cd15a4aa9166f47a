//! One connection of an agent: a request, an answer, until it hangs up.

use std::{
    collections::BTreeSet,
    io::{self, BufReader},
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

use huisuan_model::{AttemptId, EndCause, StartOrder};

use super::{
    sample::MEMORY_MODE,
    session,
    shared::{Shared, lock},
    state::Record,
};
use crate::{
    container::Images,
    engine::{Held, SubmitResult},
    failpoint,
    folder::{batch::Batch, log::append_line, records::read_done},
    local::{
        config::{SupervisorConfig, VERSION},
        records::AcceptedLine,
        wire::{Reply, Request, read_line, write_line},
    },
};

/// Serves a connection until its end. Only processes of the same user are heard.
pub(crate) fn serve(shared: &Arc<Shared>, stream: UnixStream) {
    if let Err(error) = converse(shared, stream) {
        tracing::debug!(%error, "connection ended");
    }
    lock(&shared.state).connections -= 1;
}

fn converse(shared: &Arc<Shared>, mut stream: UnixStream) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    if peer.uid != rustix::process::geteuid() {
        tracing::warn!(uid = peer.uid.as_raw(), "a process of another user was turned away");
        return Ok(());
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    let Some(Request::Hello { version, config, observer }) = read_line(&mut reader)? else {
        return write_line(&mut stream, &Reply::Refused("the first request must be a hello".into()));
    };
    if let Err(why) = accept_config(shared, version, config) {
        return write_line(&mut stream, &Reply::Refused(why));
    }
    let observer = observer.then(|| {
        let number = lock(&shared.state).new_observer();
        // A former observer that still waits gets an empty answer.
        shared.reports.notify_all();
        number
    });
    write_line(&mut stream, &Reply::Welcome { version: VERSION, memory_mode: MEMORY_MODE.into() })?;
    while let Some(request) = read_line(&mut reader)? {
        if let Request::Attach { attempt, target } = request {
            return session::attach(shared, attempt, target, stream);
        }
        let reply = answer(shared, request, observer);
        write_line(&mut stream, &reply)?;
    }
    Ok(())
}

/// Takes over what the agent wants the supervisor to use, if that can be done.
fn accept_config(shared: &Shared, version: u32, config: SupervisorConfig) -> Result<(), String> {
    if version != VERSION {
        return Err(format!(
            "it speaks version {VERSION}, the agent speaks {version}; hint: wait until its work has ended"
        ));
    }
    let mut state = lock(&shared.state);
    // How images are run does not matter to what runs already.
    let images_apart = SupervisorConfig { containers: config.containers.clone(), ..state.config.clone() };
    if images_apart == config {
        state.config = config;
        return Ok(());
    }
    if !state.idle() {
        return Err(format!(
            "it has work and uses CPUs {:?} and {} of memory; hint: wait until its work has ended, or give it the same",
            state.config.cores, state.config.memory
        ));
    }
    state.reconfigure(config);
    Ok(())
}

fn answer(shared: &Arc<Shared>, request: Request, observer: Option<u64>) -> Reply {
    match (request, observer) {
        (Request::Hello { .. }, _) => Reply::Refused("there was a hello already".into()),
        (Request::Submit(batch), _) => submit(shared, batch).map_or_else(Reply::Refused, Reply::Submitted),
        (Request::Observe { wait_ms }, Some(observer)) => {
            Reply::Reports(shared.observe(observer, Duration::from_millis(wait_ms)))
        }
        (Request::Observe { .. }, None) => Reply::Refused("this connection did not say that it observes".into()),
        (Request::Acknowledge(ids), _) => {
            shared.acknowledge(&ids);
            Reply::Done
        }
        (Request::Cancel(ids), _) => {
            cancel(shared, &ids);
            Reply::Done
        }
        (Request::Held, _) => {
            let state = lock(&shared.state);
            let over = |(_, record): &(&AttemptId, &Record)| matches!(record, Record::Ending(_) | Record::Ended(_));
            let (ended, live): (Vec<_>, Vec<_>) = state.records.iter().partition(over);
            let ids = |records: Vec<(&AttemptId, &Record)>| records.into_iter().map(|(id, _)| *id).collect();
            Reply::Held(Held { live: ids(live), ended: ids(ended) })
        }
        (Request::Attach { .. }, _) => Reply::Refused("a channel has a connection of its own".into()),
        (Request::Find(ids), _) => {
            find(shared, &ids);
            Reply::Done
        }
        (Request::Known(id), _) => {
            let known = lock(&shared.state).records.contains_key(&id) || shared.paths.attempt(id).dir.exists();
            Reply::Known(known)
        }
    }
}

/// Takes orders: what is new is on disk before it is answered.
fn submit(shared: &Arc<Shared>, batch: Batch) -> Result<Vec<SubmitResult>, String> {
    let orders = batch.orders().ok_or("an order names a spec that the request does not hold")?;
    let mut accepted = lock(&shared.accepted);
    let mut fresh: Vec<Arc<StartOrder>> = Vec::new();
    let mut results = Vec::with_capacity(orders.len());
    let mut seen = BTreeSet::new();
    let mut images = Images::new(lock(&shared.state).config.containers.clone());
    for order in orders {
        let result = judge(shared, &order, &mut seen, &mut images);
        if result == SubmitResult::Accepted {
            fresh.push(Arc::new(order));
        }
        results.push(result);
    }
    if fresh.is_empty() {
        return Ok(results);
    }
    let line = AcceptedLine { boot_id: shared.boot_id.clone(), batch: Batch::new(fresh.iter().map(Arc::as_ref)) };
    let mut text = Vec::new();
    append_line(&mut text, &line)
        .and_then(|()| accepted.append(&text, true))
        .map_err(|error| format!("orders cannot be stored: {error}; hint: free space on the centre's disk"))?;
    failpoint::reach("supervisor-after-accept");
    let mut state = lock(&shared.state);
    fresh.into_iter().for_each(|order| state.enqueue(order));
    shared.wake_worker(&mut state);
    Ok(results)
}

fn judge(shared: &Shared, order: &StartOrder, seen: &mut BTreeSet<AttemptId>, images: &mut Images) -> SubmitResult {
    let id = order.attempt;
    let refusal = {
        let state = lock(&shared.state);
        if !seen.insert(id) || state.records.contains_key(&id) {
            return SubmitResult::Duplicate;
        }
        state.refusal(order)
    };
    // A folder without a record is an attempt whose end was acknowledged. Never twice.
    if shared.paths.attempt(id).dir.exists() {
        report_again(shared, id);
        return SubmitResult::Duplicate;
    }
    // Only what was never here is looked at so: an image that is gone is no reason to deny an attempt.
    let refusal = refusal.or_else(|| images.missing(order));
    refusal.map_or(SubmitResult::Accepted, |why| SubmitResult::Refused { why })
}

/// The network asks for an attempt whose end it had acknowledged: it may have forgotten, so the end is
/// told again.
fn report_again(shared: &Shared, id: AttemptId) {
    match read_done(&shared.paths.attempt(id)) {
        Some(report) => {
            let mut state = lock(&shared.state);
            state.note_ended(report);
            shared.reports.notify_all();
        }
        None => shared.finish_unstarted(id, EndCause::Lost, "it is known here but nothing says how it ended"),
    }
}

/// Tells again what became of attempts that the network misses. What has a record here is told by itself.
fn find(shared: &Shared, ids: &[AttemptId]) {
    // No submit may bring in what is found to be unknown here.
    let _accepted = lock(&shared.accepted);
    for &id in ids {
        let known = lock(&shared.state).records.contains_key(&id);
        match shared.paths.attempt(id).dir.exists() {
            _ if known => {}
            true => report_again(shared, id),
            false => shared.finish_unstarted(id, EndCause::Lost, "nothing is known of it here: its folder is gone"),
        }
    }
}

fn cancel(shared: &Shared, ids: &[AttemptId]) {
    // No submit may bring in what is found to be unknown here.
    let _accepted = lock(&shared.accepted);
    for &id in ids {
        let mut state = lock(&shared.state);
        let running = match state.records.get(&id) {
            Some(Record::Running(attempt)) => Some(Arc::clone(attempt)),
            Some(Record::Ending(_) | Record::Ended(_)) => continue,
            Some(Record::Queued(_)) | None => None,
        };
        let queued = running.is_none() && state.unqueue(id).is_some();
        drop(state);
        match running {
            Some(attempt) => attempt.wish(EndCause::Cancelled),
            None if queued => shared.finish_unstarted(id, EndCause::Cancelled, "cancelled before it started"),
            None if shared.paths.attempt(id).dir.exists() => report_again(shared, id),
            None => shared.finish_unstarted(id, EndCause::Cancelled, "cancelled before its start order came here"),
        }
    }
}
