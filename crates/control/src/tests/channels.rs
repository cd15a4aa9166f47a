//! Sessions: what they may ask for, and who may open a channel into one.

use huisuan_model::{
    AttemptId, ChannelTarget, Command, DurationMs, Event, JobSpec, ReportKind, Tenant, TenantId,
    command::Origin,
    spec::{Checkpoint, JobKind, Rerun},
};

use super::{job, tasks};
use crate::{
    Refusal,
    testing::{Network, attempt, exited, origin},
};

fn session() -> JobSpec {
    JobSpec { kind: JobKind::Session, ..job("a") }
}

fn open(attempt: AttemptId) -> Command {
    Command::OpenChannel { attempt, channel: 7, target: ChannelTarget::Port(8888) }
}

#[test]
fn a_session_is_one_process_at_a_terminal() {
    let refused = |spec: JobSpec, field: &str| {
        let refusal = Network::new().submit(spec).expect_err(field);
        assert!(matches!(&refusal, Refusal::Spec(error) if error.field == field), "{refusal}");
    };
    refused(tasks(session(), 2), "tasks");
    refused(JobSpec { gang: true, ..session() }, "tasks");
    refused(JobSpec { retries: 1, ..session() }, "retries");
    refused(JobSpec { rerun: Rerun::Allowed, ..session() }, "rerun");
    refused(JobSpec { output: Some("x".into()), ..session() }, "output");
    refused(JobSpec { error: Some("x".into()), ..session() }, "output");
    let checkpoint = Checkpoint { signal: "TERM".into(), grace: DurationMs(1_000) };
    refused(JobSpec { checkpoint: Some(checkpoint), ..session() }, "checkpoint");
    let image = format!("registry.example/x@sha256:{}", "0".repeat(64));
    let refusal = Network::new().submit(JobSpec { image: Some(image), ..session() }).expect_err("an image");
    assert!(matches!(refusal, Refusal::NotSupported { field: "image", .. }), "{refusal}");
    Network::new().submit(JobSpec { preemptible: true, ..session() }).expect("as it was asked");
}

#[test]
fn a_channel_leads_into_a_session_of_its_own_tenant_while_it_runs() {
    let mut network = Network::new();
    let stranger = Origin { tenant: TenantId::new("other").expect("a name"), ..origin() };
    network.take(Command::SetTenant(Tenant::new(stranger.tenant.clone(), 9)));
    network.submit(session()).expect("accepted");
    network.submit(job("batch")).expect("accepted");
    let (of_session, of_batch) = (attempt(1, 0, 1), attempt(2, 0, 1));
    let no_session = |network: &mut Network, id| {
        let refusal = network.execute(open(id)).expect_err("no session");
        assert!(matches!(refusal, Refusal::NoSession { .. }) && !refusal.hint().is_empty(), "{refusal}");
    };
    no_session(&mut network, of_session);
    network.plan();
    no_session(&mut network, of_session);
    let at = |network: &Network, id| network.state.attempt(id).expect("placed").centre.to_string();
    for id in [of_session, of_batch] {
        let centre = at(&network, id);
        network.report(&centre, vec![(id, ReportKind::Started)]);
    }
    no_session(&mut network, of_batch);
    let refusal = network.execute_from(&stranger, open(of_session)).expect_err("another tenant's");
    assert!(matches!(refusal, Refusal::NoJob(id) if id == of_session.job), "{refusal}");
    let before = network.state.clone();
    let opened = Event::ChannelOpened { attempt: of_session, channel: 7, target: ChannelTarget::Port(8888) };
    assert_eq!(network.take(open(of_session)), [opened]);
    let close = Command::CloseChannel { attempt: of_session, channel: 7, sent: 1, received: 2 };
    assert_eq!(network.take(close).len(), 1);
    assert_eq!(network.state.version(), before.version() + 2, "both are in the journal");
    network.check_rebuilt();
    let (centre, end) = (at(&network, of_session), network.ended(exited(0), 5));
    network.report(&centre, vec![(of_session, end)]);
    assert!(matches!(network.execute(open(of_session)), Err(Refusal::NoJob(_))));
}
